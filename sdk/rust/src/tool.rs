//! What an author implements to be a tool, and how a family of tools is exported.

use crate::bindings::WireError;
pub use crate::bindings::estimate::exports::mandate::tool::estimate::CallCost as Estimate;
use crate::bindings::tool::exports::mandate::tool::tool as wire;
use crate::{Error, Host, from_json, schema_of, to_json};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Does one thing. Export it with [`tools!`](crate::tools!).
pub trait Tool {
    /// Kebab case; the manifest has a `[[tool]]` of this name.
    const NAME: &'static str;
    /// One line for people and for models that choose among tools.
    const SUMMARY: &'static str;
    /// What it is called with; the host validates it before.
    type Arguments: DeserializeOwned + JsonSchema;
    /// What it answers; the host validates it afterwards.
    type Result: Serialize + JsonSchema;

    /// Does it.
    ///
    /// # Errors
    /// Why it could not.
    fn call(
        arguments: Self::Arguments,
        context: &Context,
        host: &Host,
    ) -> Result<Self::Result, Error>;
}

/// A tool that says what a call would cost before it is made: its manifest says `cost =
/// "estimate"`. Export it with [`estimates!`](crate::estimates!), beside
/// [`tools!`](crate::tools!).
pub trait Estimates: Tool {
    /// What the call would cost. It has no host: whatever it needs is in arguments and settings.
    ///
    /// # Errors
    /// Why nobody can know; a human is asked then.
    fn estimate(arguments: Self::Arguments, settings: Settings<'_>) -> Result<Estimate, Error>;
}

impl Estimate {
    /// A cost in micro-dollars.
    pub fn of(micro_usd: i64) -> Self {
        Self {
            cost: micro_usd,
            undo: None,
            why: None,
        }
    }

    /// How this call is undone, in a line for people.
    pub fn undone_by(mut self, undo: impl Into<String>) -> Self {
        self.undo = Some(undo.into());
        self
    }

    /// What the cost is made of, in a line for people.
    pub fn because(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }
}

/// What the operator filled in, by the manifest's `[settings]`.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a>(&'a str);

impl Default for Settings<'_> {
    /// Nothing.
    fn default() -> Self {
        Self("{}")
    }
}

impl<'a> Settings<'a> {
    /// Those of this JSON text.
    pub fn of(text: &'a str) -> Self {
        Self(text)
    }

    /// As a type.
    ///
    /// # Errors
    /// [`Error::Invalid`] if they are not a `T`.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Error> {
        from_json("settings", self.0)
    }
}

/// For whom and for what a tool is called.
#[derive(Clone, Debug)]
pub struct Context {
    /// For whom.
    pub tenant: String,
    /// The id of the task at the root of this call, if there is one.
    pub task: Option<String>,
    /// The record that the task is about, as `collection/id`.
    pub subject: Option<String>,
    /// What the operator filled in, as JSON text; see [`Context::settings`].
    pub raw_settings: String,
}

impl Default for Context {
    /// As tests give it: tenant `default`, no task, no settings.
    fn default() -> Self {
        Self {
            tenant: "default".to_owned(),
            task: None,
            subject: None,
            raw_settings: "{}".to_owned(),
        }
    }
}

impl Context {
    /// What the operator filled in, by the manifest's `[settings]`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the settings are not a `T`.
    pub fn settings<T: DeserializeOwned>(&self) -> Result<T, Error> {
        from_json("settings", &self.raw_settings)
    }
}

/// One part of the export `describe`.
#[doc(hidden)]
pub fn describe<T: Tool>() -> wire::Description {
    wire::Description {
        name: T::NAME.to_owned(),
        summary: T::SUMMARY.to_owned(),
        arguments: schema_of::<T::Arguments>(false),
        result: schema_of::<T::Result>(false),
    }
}

/// The export `call` for one tool, over whichever host.
#[doc(hidden)]
pub fn call<T: Tool>(call: wire::Request, host: &Host) -> Result<String, WireError> {
    let context = Context {
        tenant: call.tenant,
        task: call.task,
        subject: call.subject,
        raw_settings: call.settings,
    };
    from_json("arguments", &call.arguments)
        .and_then(|arguments| T::call(arguments, &context, host))
        .and_then(|result| to_json("result", &result))
        .map_err(WireError::from)
}

/// The export `estimate` for one tool.
#[doc(hidden)]
pub fn estimate<T: Estimates>(arguments: &str, settings: &str) -> Result<Estimate, WireError> {
    from_json("arguments", arguments)
        .and_then(|arguments| T::estimate(arguments, Settings::of(settings)))
        .map_err(WireError::from)
}

/// The answer when the manifest names a tool that the code does not have.
#[doc(hidden)]
pub fn unknown(name: &str, known: &[&str]) -> WireError {
    WireError::NotFound(format!(
        "this plugin has no tool `{name}`; it has {}",
        known.join(", ")
    ))
}

/// Makes types that implement [`Tool`] the tools of this plugin: all of them in one line.
#[macro_export]
macro_rules! tools {
    ($($tool:ty),+ $(,)?) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::bindings::tool::exports::mandate::tool::tool as wire;
            struct Exported;
            impl wire::Guest for Exported {
                fn describe() -> ::std::vec::Vec<wire::Description> {
                    ::std::vec![$($crate::tool::describe::<$tool>()),+]
                }
                fn call(
                    call: wire::Request,
                ) -> ::core::result::Result<::std::string::String, $crate::bindings::WireError> {
                    let host = $crate::Host::of_guest();
                    $(
                        if call.name == <$tool as $crate::Tool>::NAME {
                            return $crate::tool::call::<$tool>(call, &host);
                        }
                    )+
                    ::core::result::Result::Err($crate::tool::unknown(
                        &call.name,
                        &[$(<$tool as $crate::Tool>::NAME),+],
                    ))
                }
            }
            $crate::bindings::tool::export_tool!(Exported with_types_in $crate::bindings::tool);
        };
        // Without wasm nothing is exported; the tools must fit all the same.
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn() = || {
            $(let _ = $crate::tool::call::<$tool>;)+
        };
    };
}

/// Makes types that implement [`Estimates`] say what their calls cost: all of them in one line,
/// beside the one of [`tools!`].
#[macro_export]
macro_rules! estimates {
    ($($tool:ty),+ $(,)?) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::bindings::estimate::exports::mandate::tool::estimate as wire;
            struct Exported;
            impl wire::Guest for Exported {
                fn estimate(
                    name: ::std::string::String,
                    arguments: ::std::string::String,
                    settings: ::std::string::String,
                ) -> ::core::result::Result<wire::CallCost, $crate::bindings::WireError> {
                    $(
                        if name == <$tool as $crate::Tool>::NAME {
                            return $crate::tool::estimate::<$tool>(&arguments, &settings);
                        }
                    )+
                    ::core::result::Result::Err($crate::tool::unknown(
                        &name,
                        &[$(<$tool as $crate::Tool>::NAME),+],
                    ))
                }
            }
            $crate::bindings::estimate::export_estimate!(
                Exported with_types_in $crate::bindings::estimate
            );
        };
        // Without wasm nothing is exported; the tools must fit all the same.
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn() = || {
            $(let _ = $crate::tool::estimate::<$tool>;)+
        };
    };
}
