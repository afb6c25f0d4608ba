//! The contract as Rust: generated from the WIT files, once for all plugins.
//!
//! One `generate!` holds every import; what a plugin does not call, the linker drops, and its component does
//! not import it. The export macros are expanded only in a plugin's crate, so that one SDK serves both worlds. (They are
//! written here and not taken from the files, because the macros are named after the worlds.)
#![allow(missing_docs, clippy::all, clippy::pedantic)]

pub mod imports {
    wit_bindgen::generate!({
        inline: "
            package mandate:sdk;
            world imports {
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
            }
        ",
        path: [
            "../../wit/types",
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
        world: "mandate:sdk/imports",
        additional_derives: [PartialEq],
        generate_all,
    });
}

pub mod agent {
    wit_bindgen::generate!({
        inline: "
            package mandate:sdk-agent;
            world agent {
                export mandate:agent/agent@1.0.0;
            }
        ",
        path: ["../../wit/types", "../../wit/agent"],
        world: "mandate:sdk-agent/agent",
        with: { "mandate:types/types@1.0.0": crate::bindings::imports::mandate::types::types },
        pub_export_macro: true,
        export_macro_name: "export_agent",
    });
}

pub mod tool {
    wit_bindgen::generate!({
        inline: "
            package mandate:sdk-tool;
            world tool {
                export mandate:tool/tool@1.1.0;
            }
        ",
        path: ["../../wit/types", "../../wit/tool"],
        world: "mandate:sdk-tool/tool",
        with: { "mandate:types/types@1.0.0": crate::bindings::imports::mandate::types::types },
        pub_export_macro: true,
        export_macro_name: "export_tool",
    });
}

pub mod estimate {
    wit_bindgen::generate!({
        inline: "
            package mandate:sdk-estimate;
            world estimate {
                export mandate:tool/estimate@1.1.0;
            }
        ",
        path: ["../../wit/types", "../../wit/tool"],
        world: "mandate:sdk-estimate/estimate",
        with: { "mandate:types/types@1.0.0": crate::bindings::imports::mandate::types::types },
        additional_derives: [PartialEq],
        pub_export_macro: true,
        export_macro_name: "export_estimate",
    });
}

pub use imports::mandate::types::types::Error as WireError;
