//! What the chain of providers adds to a call, against the same request sent to the same provider
//! by the same client: open loop, so that who is late is late for all that follow.

use crate::counted;
use crate::report::{Measure, Unit};
use anyhow::{Context, anyhow, ensure};
use http_body_util::{BodyExt as _, Full};
use mandate_llm::catalog::{Row, rows};
use mandate_llm::chain::Settings;
use mandate_llm::exchange::{Deadlines, HttpClient, client};
use mandate_llm::upstream::Upstream;
use mandate_llm::{
    Caller, Chain, Message, Meter, ModelClass, Planned, Provider, Request, Role, Unpaid, redact,
};
use mandate_tests::upstream;
use mandate_types::MicroUsd;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// The argument that makes this program the provider.
pub const WORD: &str = "--serve-models";

const ROUNDS: usize = 5;
/// Of one phase of a round.
const PHASE: Duration = Duration::from_millis(1_500);
/// Before anything is measured: connections and caches.
const WARM_UP: usize = 500;
const RATES: [u32; 3] = [1_000, 200, 50];

/// What the process does: says where it listens, and answers.
///
/// # Errors
/// When it cannot listen.
pub fn serve() -> anyhow::Result<()> {
    Runtime::new()?.block_on(async {
        let upstream = upstream::Upstream::that(|_| upstream::Does::Answers).await;
        println!("{}", upstream.url());
        std::future::pending().await
    })
}

/// The process that answers.
struct Serving(Child, String);

impl Serving {
    fn start() -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(WORD)
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let stdout = child.stdout.take().context("no stdout")?;
        BufReader::new(stdout).read_line(&mut line)?;
        Ok(Self(child, line.trim().to_owned()))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // If it ended by itself there is nothing left to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Pays for everything: the ledger has measurements of its own.
struct Rich;

#[async_trait::async_trait]
impl Meter for Rich {
    async fn open(&self, _: Planned) -> Result<u32, Unpaid> {
        Ok(0)
    }

    fn close(&self, _: u32, _: MicroUsd, _: bool) {}
}

/// Who asks, in one of four ways.
#[derive(Clone)]
struct Asking {
    chain: Chain,
    client: HttpClient,
    url: String,
    request: Arc<Request>,
    /// The same request as the provider gets it.
    whole: bytes::Bytes,
    streamed: bytes::Bytes,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Chain,
    Direct,
    ChainStream,
    DirectStream,
}

impl Asking {
    fn new(url: &str) -> anyhow::Result<Self> {
        let tls = rustls::ClientConfig::builder_with_provider(Arc::new(
            rustls::crypto::ring::default_provider(),
        ))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
        let client = client(tls, Duration::from_secs(5));
        let row = row(url)?;
        let provider = Upstream::new(row, None, client.clone(), Deadlines::default());
        let settings = Settings {
            redaction: Some(redact::Settings::default()),
            ..Settings::default()
        };
        let providers: Vec<Arc<dyn Provider>> = vec![Arc::new(provider)];
        let text = "The service restarted twice since the deployment, and its probes fail. ";
        let request = Request::new(
            ModelClass::Fast,
            vec![
                Message::text(Role::System, "You find out why services fail."),
                Message::text(Role::User, text.repeat(14)),
            ],
            200,
        );
        let messages: Vec<serde_json::Value> = request
            .messages
            .iter()
            .map(|m| serde_json::json!({"role": m.role, "content": m.text}))
            .collect();
        let body = |stream: bool| {
            let body = serde_json::json!({
                "model": "m", "messages": messages, "max_tokens": 200, "stream": stream,
            });
            bytes::Bytes::from(body.to_string())
        };
        Ok(Self {
            chain: Chain::new(providers, settings),
            client,
            url: format!("{url}/chat/completions"),
            request: Arc::new(request.clone()),
            whole: body(false),
            streamed: body(true),
        })
    }

    /// Asks once; returns when it had what is waited for: the answer, or its first piece.
    async fn ask(&self, way: Way, execution: &str) -> anyhow::Result<Instant> {
        let caller = Caller {
            tenant: "acme",
            plugin: "asks",
            execution,
            meter: &Rich,
        };
        match way {
            Way::Chain => {
                self.chain.complete(&self.request, &caller).await?;
                Ok(Instant::now())
            }
            Way::ChainStream => {
                let mut first = None;
                let mut hear = |_: &str| {
                    first.get_or_insert_with(Instant::now);
                };
                self.chain.stream(&self.request, &caller, &mut hear).await?;
                first.context("nothing was heard")
            }
            Way::Direct | Way::DirectStream => {
                let body = match way {
                    Way::Direct => self.whole.clone(),
                    _ => self.streamed.clone(),
                };
                let request = hyper::Request::post(&self.url)
                    .header("content-type", "application/json")
                    .body(Full::new(body))?;
                let answer = self.client.request(request).await?;
                ensure!(answer.status() == 200, "it refuses");
                let mut body = answer.into_body();
                let mut first = None;
                while let Some(frame) = body.frame().await {
                    frame?;
                    first.get_or_insert_with(Instant::now);
                }
                let first = first.context("an empty answer")?;
                Ok(match way {
                    Way::Direct => Instant::now(),
                    _ => first,
                })
            }
        }
    }

    /// Asks so often in a second, whoever has not been answered yet, in the ways in turn; how long
    /// each took from when it was due, by way.
    async fn at(&self, ways: &[Way], rate: u32) -> anyhow::Result<Vec<Vec<f64>>> {
        let every = Duration::from_secs(1) / rate;
        let count = (PHASE.as_secs_f64() * f64::from(rate)) as u32;
        let (asking, turns) = (self.clone(), ways.to_vec());
        let runtime = tokio::runtime::Handle::current();
        // The runtime's timer counts milliseconds: too coarse for when a request is due.
        let pacing = std::thread::spawn(move || {
            let begun = Instant::now() + Duration::from_millis(5);
            let paced = (0..count).zip(turns.iter().copied().cycle());
            let asked = paced.map(|(number, way)| {
                let due = begun + every * number;
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                let asking = asking.clone();
                runtime.spawn(async move {
                    let had = asking.ask(way, &number.to_string()).await?;
                    anyhow::Ok((way, had.saturating_duration_since(due).as_secs_f64() * 1e6))
                })
            });
            asked.collect::<Vec<_>>()
        });
        let asked = tokio::task::spawn_blocking(move || pacing.join()).await?;
        let asked = asked.map_err(|_| anyhow!("the pace was lost"))?;
        let mut times = vec![Vec::new(); ways.len()];
        for asked in asked {
            let (way, took) = asked.await??;
            for (of, times) in ways.iter().zip(&mut times) {
                if *of == way {
                    times.push(took);
                }
            }
        }
        Ok(times)
    }
}

fn row(url: &str) -> anyhow::Result<Row> {
    let mut over = toml::Table::new();
    let table = toml::toml! {
        wire = "openai"
        models = { fast = "m" }
        price = [{ model = "m", input = "1", output = "2" }]
    };
    over.insert("bench".to_owned(), table.into());
    if let Some(row) = over.get_mut("bench").and_then(toml::Value::as_table_mut) {
        row.insert("url".to_owned(), url.into());
    }
    rows(&over)?.pop().context("the row is missing")
}

/// All figures of one run.
struct Figures {
    /// By rate and way, sorted.
    times: Vec<(u32, Way, Vec<f64>)>,
    /// Microseconds of processor for a thousand requests at the highest rate: chain, direct.
    cpu: [f64; 2],
    /// Bytes that were allocated for a thousand requests: chain, direct.
    memory: [f64; 2],
}

static FIGURES: OnceLock<Result<Figures, String>> = OnceLock::new();

fn figures() -> anyhow::Result<&'static Figures> {
    let figures = FIGURES.get_or_init(|| measure().map_err(|error| format!("{error:#}")));
    figures.as_ref().map_err(|error| anyhow!("{error}"))
}

fn measure() -> anyhow::Result<Figures> {
    let serving = Serving::start()?;
    Runtime::new()?.block_on(async {
        let asking = Asking::new(&serving.1)?;
        let whole = [Way::Chain, Way::Direct];
        let streams = [Way::ChainStream, Way::DirectStream];
        for ways in [whole, streams] {
            for number in 0..WARM_UP {
                for way in ways {
                    asking.ask(way, &number.to_string()).await?;
                }
            }
            asking.at(&ways, RATES[0]).await?;
        }
        let mut times = Vec::new();
        for rate in RATES {
            for ways in [whole, streams] {
                // In turns, so that whatever else goes on is the same for both.
                let mut all = vec![Vec::new(); ways.len()];
                for _ in 0..ROUNDS {
                    for (all, more) in all.iter_mut().zip(asking.at(&ways, rate).await?) {
                        all.extend(more);
                    }
                }
                for (way, mut of) in ways.into_iter().zip(all) {
                    of.sort_by(f64::total_cmp);
                    times.push((rate, way, of));
                }
            }
        }
        // Of these there is one count for the process: one way after the other.
        let (mut cpu, mut memory) = ([0.0; 2], [0.0; 2]);
        for _ in 0..ROUNDS {
            for ((way, cpu), memory) in whole.into_iter().zip(&mut cpu).zip(&mut memory) {
                let (used, allocated) = (processor(), counted::begin());
                let asked = asking.at(&[way], RATES[0]).await?;
                let thousands = asked.iter().map(Vec::len).sum::<usize>() as f64 / 1_000.0;
                *cpu += (processor() - used) / thousands / ROUNDS as f64;
                *memory += (counted::end() - allocated) / thousands / ROUNDS as f64;
            }
        }
        Ok(Figures { times, cpu, memory })
    })
}

/// Microseconds of processor that this process has used.
fn processor() -> f64 {
    // SAFETY: the struct is plain numbers, and the call only writes them.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
        usage
    };
    let of = |time: libc::timeval| time.tv_sec as f64 * 1e6 + time.tv_usec as f64;
    of(usage.ru_utime) + of(usage.ru_stime)
}

/// What the chain adds at `percent` of all calls, over what they take without it.
fn overhead(rate: u32, percent: usize, stream: bool) -> anyhow::Result<Measure> {
    let figures = figures()?;
    let at = |way: Way| {
        let mut all = figures.times.iter();
        let times = all.find(|(known, of, _)| *known == rate && *of == way);
        let times = &times.context("nothing was measured")?.2;
        let place = (times.len() * percent / 100).min(times.len().saturating_sub(1));
        times.get(place).copied().context("nothing was measured")
    };
    let (with, without) = if stream {
        (at(Way::ChainStream)?, at(Way::DirectStream)?)
    } else {
        (at(Way::Chain)?, at(Way::Direct)?)
    };
    Ok(Measure {
        unit: Unit::Microseconds,
        value: with - without,
        floor: Some(without),
    })
}

macro_rules! overheads {
    ($($name:ident: $rate:expr, $percent:expr, $stream:expr;)+) => {$(
        /// As its name says.
        ///
        /// # Errors
        /// When a call fails.
        pub fn $name() -> anyhow::Result<Measure> {
            overhead($rate, $percent, $stream)
        }
    )+};
}

overheads! {
    p50: 1_000, 50, false;
    p99: 1_000, 99, false;
    stream_p50: 1_000, 50, true;
    p50_200: 200, 50, false;
    p99_200: 200, 99, false;
    stream_p50_200: 200, 50, true;
    p50_50: 50, 50, false;
    p99_50: 50, 99, false;
    stream_p50_50: 50, 50, true;
}

/// Processor time of a thousand calls; the floor is without the chain.
///
/// # Errors
/// When a call fails.
pub fn cpu() -> anyhow::Result<Measure> {
    let [value, floor] = figures()?.cpu;
    Ok(Measure {
        unit: Unit::Microseconds,
        value,
        floor: Some(floor),
    })
}

/// Bytes that a thousand calls allocate; the floor is without the chain.
///
/// # Errors
/// When a call fails.
pub fn memory() -> anyhow::Result<Measure> {
    let [value, floor] = figures()?.memory;
    Ok(Measure {
        unit: Unit::Bytes,
        value,
        floor: Some(floor),
    })
}
