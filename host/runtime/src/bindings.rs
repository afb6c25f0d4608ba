//! The contract with guests as Rust: generated from the packages in `wit/`, nothing by hand.
//!
//! Every imported function is async and may trap, so that the host can end the instance by
//! answering `Err`. All types derive serde, so that steps can be journalled as they are.

#![allow(missing_docs)] // generated; the documentation is in the WIT files

/// The world of agents; its imports are the imports of tools too.
pub mod agent {
    wasmtime::component::bindgen!({
        path: [
            "../../wit/types",
            "../../wit/agent",
            "../../wit/tool",
            "../../wit/invoke",
            "../../wit/llm",
            "../../wit/llm-stream",
            "../../wit/records",
            "../../wit/events",
            "../../wit/human",
            "../../wit/continuation",
            "../../wit/telemetry",
            "../../wit/http",
            "../../wit/system",
        ],
        inline: "
            package mandate:host;

            world agent-guest {
                import mandate:types/types@1.0.0;
                import mandate:invoke/invoke@1.1.0;
                import mandate:llm/llm@1.0.0;
                import mandate:llm-stream/llm-stream@1.0.0;
                import mandate:records/records@1.0.0;
                import mandate:events/events@1.0.0;
                import mandate:human/human@1.0.0;
                import mandate:continuation/continuation@1.0.0;
                import mandate:telemetry/data@1.0.0;
                import mandate:telemetry/query@1.0.0;
                import mandate:telemetry/ingest@1.0.0;
                import mandate:http/http@1.0.0;
                import mandate:system/log@1.0.0;
                import mandate:system/progress@1.0.0;
                import mandate:system/clock@1.0.0;
                import mandate:system/random@1.0.0;
                import mandate:system/sleep@1.0.0;
                export mandate:agent/agent@1.0.0;
            }
        ",
        world: "mandate:host/agent-guest",
        imports: { default: async | trappable },
        exports: { default: async },
        additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
    });
}

/// The world of tools, with the types of [`agent`].
pub mod tool {
    wasmtime::component::bindgen!({
        path: ["../../wit/types", "../../wit/tool"],
        inline: "
            package mandate:host;

            world tool-guest {
                import mandate:types/types@1.0.0;
                export mandate:tool/tool@1.1.0;
            }
        ",
        world: "mandate:host/tool-guest",
        exports: { default: async },
        with: { "mandate:types/types@1.0.0": super::agent::mandate::types::types },
        additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
    });
}

/// The world of tools that estimate what their calls cost, beside [`tool`].
pub mod estimating {
    wasmtime::component::bindgen!({
        path: ["../../wit/types", "../../wit/tool"],
        inline: "
            package mandate:host;

            world estimating-guest {
                import mandate:types/types@1.0.0;
                export mandate:tool/estimate@1.1.0;
            }
        ",
        world: "mandate:host/estimating-guest",
        exports: { default: async },
        with: { "mandate:types/types@1.0.0": super::agent::mandate::types::types },
        additional_derives: [PartialEq],
    });
}

pub use agent::exports::mandate::agent::agent as agent_export;
pub use agent::mandate::{
    continuation, events, http, human, invoke, llm, llm_stream, records, system, telemetry, types,
};
pub use estimating::exports::mandate::tool::estimate as estimate_export;
pub use tool::exports::mandate::tool::tool as tool_export;
