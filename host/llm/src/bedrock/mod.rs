//! Amazon Bedrock through Amazon's own SDK, which finds the key, the region and the endpoint and
//! signs; the connections, the deadlines and what a failure means are ours.

mod answer;
mod ask;
mod connector;
mod document;
mod embed;
mod fault;
mod stream;
mod thought;

use crate::catalog::{Quirk, Row};
use crate::exchange::{Deadlines, HttpClient, late};
use crate::fault::{Fault, Kind};
use crate::provider::{Heard, Provider};
use crate::upstream::cut;
use crate::wire::{Answer, Names, Vectors, Whom};
use crate::{ModelClass, Price, Request, structured};
use ask::Asked;
use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_bedrockruntime::Client;
use aws_sdk_bedrockruntime::config::Builder;
use connector::Connector;
use tokio::sync::OnceCell;

/// Bedrock in one region.
pub struct Bedrock {
    row: Row,
    deadlines: Deadlines,
    connector: Connector,
    client: OnceCell<Client>,
}

impl Bedrock {
    /// The provider of `row`. Key and region are looked for where the SDK does (environment,
    /// profile, the machine's role), when the first request is sent and not before.
    pub fn new(row: Row, client: HttpClient, deadlines: Deadlines) -> Self {
        Self {
            row,
            deadlines,
            connector: Connector::new(client, deadlines),
            client: OnceCell::new(),
        }
    }

    /// The provider of `row` with key and region as in `config`; the environment is not looked at.
    pub fn with_config(
        row: Row,
        client: HttpClient,
        deadlines: Deadlines,
        config: &SdkConfig,
    ) -> Self {
        let mut bedrock = Self::new(row, client, deadlines);
        bedrock.client = OnceCell::new_with(Some(bedrock.built(config)));
        bedrock
    }

    fn built(&self, config: &SdkConfig) -> Client {
        let Deadlines { connect, first, .. } = self.deadlines;
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(connect)
            .read_timeout(first)
            .build();
        let mut config = Builder::from(config)
            .behavior_version(BehaviorVersion::latest())
            .http_client(self.connector.clone())
            // The chain tries again, and knows what every try is billed for.
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            // Our deadlines stand for it.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        if !self.row.url.is_empty() {
            config = config.endpoint_url(&self.row.url);
        }
        Client::from_conf(config.build())
    }

    async fn client(&self) -> Result<&Client, Fault> {
        self.client.get_or_try_init(|| self.loaded()).await
    }

    async fn loaded(&self) -> Result<Client, Fault> {
        // Without these two the SDK would ask the machine's metadata service over the network.
        let region = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
            .or_else(ProfileFileRegionProvider::new())
            .region()
            .await;
        let region = region.ok_or_else(|| {
            let told = "no region is known: set AWS_REGION, or `region` in the profile";
            Fault::new(Kind::Key, told)
        })?;
        let config = aws_config::defaults(BehaviorVersion::latest())
            .region(region)
            .http_client(self.connector.clone())
            .load()
            .await;
        Ok(self.built(&config))
    }

    fn serving(&self, class: ModelClass) -> Result<&str, Fault> {
        self.model(class)
            .ok_or_else(|| Fault::new(Kind::Model, "it has no model of this class"))
    }

    async fn timed<T>(&self, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        let total = self.deadlines.total;
        match tokio::time::timeout(total, work).await {
            Ok(done) => done,
            Err(_) => Err(late("no whole answer", total)),
        }
    }
}

#[async_trait::async_trait]
impl Provider for Bedrock {
    fn id(&self) -> &str {
        &self.row.id
    }

    fn model(&self, class: ModelClass) -> Option<&str> {
        self.row.models.get(&class).map(String::as_str)
    }

    fn price(&self, class: ModelClass) -> Option<Price> {
        self.row.price(self.model(class)?)
    }

    fn is_local(&self) -> bool {
        self.row.local
    }

    fn hears_thoughts(&self, _: ModelClass) -> bool {
        true
    }

    fn is_held_to_schema(&self, request: &Request) -> bool {
        let Some(model) = self.model(request.class) else {
            return false;
        };
        let (names, quirks) = (Names::of(request), self.row.quirks(model));
        let whom = Whom::of(&self.row, model, &names, &quirks);
        structured::told(request, ask::can_be_held(whom))
            .0
            .is_some()
    }

    async fn complete(&self, request: &Request) -> Result<Answer, Fault> {
        let model = self.serving(request.class)?;
        let quirks = self.row.quirks(model);
        let client = self.client().await?;
        let names = Names::of(request);
        let asked = Asked::of(request, Whom::of(&self.row, model, &names, &quirks))?;
        let send = client
            .converse()
            .model_id(model)
            .set_messages(Some(asked.messages))
            .set_system(asked.system)
            .set_tool_config(asked.tools)
            .inference_config(asked.inference)
            .set_output_config(asked.output)
            .send();
        let said = self
            .timed(async { send.await.map_err(|error| fault::of(&error)) })
            .await?;
        let answer = answer::answer(said, &names)?;
        Ok(cut(answer, request, &quirks))
    }

    async fn stream(&self, request: &Request, heard: Heard<'_>) -> Result<Answer, Fault> {
        let model = self.serving(request.class)?;
        let quirks = self.row.quirks(model);
        if quirks.contains(&Quirk::NoStop) && !request.stop.is_empty() {
            // Nobody shall hear what is cut.
            let answer = self.complete(request).await?;
            heard(&answer.message.text);
            return Ok(answer);
        }
        let client = self.client().await?;
        let names = Names::of(request);
        let asked = Asked::of(request, Whom::of(&self.row, model, &names, &quirks))?;
        let send = client
            .converse_stream()
            .model_id(model)
            .set_messages(Some(asked.messages))
            .set_system(asked.system)
            .set_tool_config(asked.tools)
            .inference_config(asked.inference)
            .set_output_config(asked.output)
            .send();
        self.timed(async {
            let said = send.await.map_err(|error| fault::of(&error))?;
            stream::answer(said, &names, self.deadlines, heard).await
        })
        .await
    }

    async fn embed(&self, texts: &[String]) -> Result<Vectors, Fault> {
        let model = self.serving(ModelClass::Embed)?;
        let client = self.client().await?;
        self.timed(embed::vectors(client, model, texts)).await
    }
}
