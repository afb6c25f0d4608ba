//! Plugin files: whole ones, broken ones, signed ones.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use mandate_plugin::encode::{component, embed};
use mandate_plugin::package::{MAX_PACKAGE_BYTES, PLUGIN_SECTION, SIGNATURE_SECTION};
use mandate_plugin::signature::{public_key, sign};
use mandate_plugin::{
    AgentDescription, Authority, Description, Manifest, Package, PackageError, ToolDescription,
    Trust, TrustedKeys,
};
use mandate_types::{Digest, GuestKind};
use serde_json::json;
use std::path::Path;

const HEAD: &str = "[plugin]\nid = \"demo\"\npublisher = \"acme\"\nversion = \"0.1.0\"\ndescription = \"A demo.\"\ncontract = \"1.0\"\n";

fn manifest(rest: &str) -> Manifest {
    Manifest::parse(&format!("{HEAD}{rest}"), Path::new(".")).unwrap()
}

fn agent(rest: &str) -> Manifest {
    manifest(&format!("[agent]\nkinds = [\"demo\"]\n{rest}"))
}

fn described() -> Description {
    Description::Agent(AgentDescription {
        summary: "Demonstrates.".into(),
        input: json!({"type": "object"}),
        output: json!({}),
    })
}

/// A component that imports and exports empty instances of these names.
fn wat(imports: &[&str], exports: &[&str]) -> Vec<u8> {
    let mut text = String::from("(component\n");
    for name in imports {
        text += &format!("(import \"{name}\" (instance))\n");
    }
    text += "(component $c) (instance $i (instantiate $c))\n";
    for name in exports {
        text += &format!("(export \"{name}\" (instance $i))\n");
    }
    wat::parse_str(text + ")").unwrap()
}

const AGENT: &str = "mandate:agent/agent@1.0.0";
const TOOL: &str = "mandate:tool/tool@1.0.0";

fn demo() -> Package {
    embed(
        &wat(&["mandate:system/log@1.0.0"], &[AGENT]),
        agent(""),
        described(),
    )
    .unwrap()
}

fn section(name: &str, data: &[u8]) -> Vec<u8> {
    // Names and contents of these tests are short enough for the one-byte form, or padded here.
    let mut body = vec![u8::try_from(name.len()).unwrap()];
    body.extend(name.as_bytes());
    body.extend(data);
    let size = u32::try_from(body.len()).unwrap();
    let mut bytes = vec![0];
    for shift in [0, 7, 14, 21] {
        let more = if shift < 21 { 0x80 } else { 0 };
        bytes.push(u8::try_from(size >> shift & 0x7f).unwrap() | more);
    }
    bytes.extend(body);
    bytes
}

fn plus(mut bytes: Vec<u8>, more: &[u8]) -> Vec<u8> {
    bytes.extend(more);
    bytes
}

fn read(bytes: Vec<u8>) -> PackageError {
    Package::read(bytes).unwrap_err()
}

#[test]
fn a_plugin_is_read_back() {
    let package = demo();
    let again = Package::read(package.bytes.clone()).unwrap();
    assert_eq!(again.manifest, agent(""));
    assert_eq!(again.description, described());
    assert_eq!(again.imports, ["mandate:system/log@1.0.0"]);
    assert_eq!(again.exports, [AGENT]);
    assert_eq!(again.kind(), GuestKind::Agent);
    assert_eq!(again.digest, Digest::of(&again.bytes));
    assert_eq!(again.signature, None);
}

#[test]
fn embedding_again_replaces() {
    let first = demo();
    let second = embed(&first.bytes, agent("[limits]\nsteps = 7\n"), described()).unwrap();
    assert_eq!(second.manifest.limits.steps, 7);
    let third = embed(&second.bytes, agent(""), described()).unwrap();
    assert_eq!(third.bytes, first.bytes);
}

#[test]
fn what_is_no_component() {
    assert_eq!(read(vec![]), PackageError::Empty);
    assert_eq!(read(b"hello world".to_vec()), PackageError::NotWasm);
    assert_eq!(read(b"\0as".to_vec()), PackageError::Truncated { at: 3 });
    assert_eq!(
        read(wat::parse_str("(module)").unwrap()),
        PackageError::CoreModule
    );
    assert!(
        read(wat::parse_str("(module)").unwrap())
            .to_string()
            .contains("mandate plugin build")
    );
    assert!(matches!(
        read(b"\0asm\x77\0\x09\0".to_vec()),
        PackageError::Broken { at: 4, .. }
    ));
    let large = plus(demo().bytes, &vec![0; MAX_PACKAGE_BYTES]);
    assert!(matches!(read(large), PackageError::TooLarge { .. }));
}

#[test]
fn every_truncation_is_refused() {
    let bytes = demo().bytes;
    for length in 0..bytes.len() {
        let error = Package::read(bytes[..length].to_vec()).unwrap_err();
        assert!(
            matches!(
                error,
                PackageError::Truncated { .. } | PackageError::NoManifest | PackageError::Empty
            ),
            "{length} of {}: {error:?}",
            bytes.len()
        );
    }
}

#[test]
fn every_flipped_byte_is_survived() {
    let bytes = demo().bytes;
    for position in 0..bytes.len() {
        let mut broken = bytes.clone();
        broken[position] ^= 0x55;
        let digest = Package::read(broken).map(|package| package.digest);
        assert_ne!(
            digest.ok(),
            Some(demo().digest),
            "byte {position} does not count"
        );
    }
}

#[test]
fn exactly_one_manifest_at_top_level() {
    let bare = wat(&[], &[AGENT]);
    assert_eq!(read(bare.clone()), PackageError::NoManifest);
    let whole = demo().bytes;
    let twice = plus(whole.clone(), &section(PLUGIN_SECTION, b"{}"));
    assert_eq!(read(twice), PackageError::SeveralManifests { count: 2 });
    // A whole plugin nested in another component (section 4) lends it nothing.
    let size = u32::try_from(whole.len()).unwrap();
    let mut nested = bare;
    nested.push(4);
    for shift in [0, 7, 14, 21] {
        let more = if shift < 21 { 0x80 } else { 0 };
        nested.push(u8::try_from(size >> shift & 0x7f).unwrap() | more);
    }
    nested.extend(&whole);
    assert_eq!(read(nested), PackageError::NoManifest);
}

#[test]
fn a_manifest_that_cannot_be_read() {
    let bare = wat(&[], &[AGENT]);
    let with = |data: &str| {
        read(plus(
            bare.clone(),
            &section(PLUGIN_SECTION, data.as_bytes()),
        ))
    };
    assert!(matches!(with("{"), PackageError::BadManifest { .. }));
    let mut manifest = serde_json::to_value(agent("")).unwrap();
    manifest["plugin"]["id"] = json!("Not Kebab");
    let data = json!({"manifest": manifest, "description": described()});
    let error = with(&data.to_string()).to_string();
    assert!(
        error.contains("`plugin.id`") && error.contains("kebab"),
        "{error}"
    );
    // What a newer contract adds is not told as a mistake: the contract is.
    manifest["plugin"]["contract"] = json!("1.7");
    manifest["something_new"] = json!(1);
    let data = json!({"manifest": manifest, "description": described()});
    assert_eq!(
        with(&data.to_string()),
        PackageError::ContractNewer {
            needed: "1.7".into()
        }
    );
}

#[test]
fn what_is_imported_must_be_asked_for() {
    for (import, line) in [
        ("mandate:llm/llm@1.0.0", "[capabilities.llm]"),
        ("mandate:invoke/invoke@1.0.0", "[capabilities.invoke]"),
        ("mandate:records/records@1.0.0", "[capabilities.records]"),
        ("mandate:events/events@1.0.0", "events = true"),
        ("mandate:telemetry/query@1.0.0", "telemetry = [\"read\"]"),
        ("mandate:telemetry/ingest@1.0.0", "telemetry = [\"write\"]"),
    ] {
        let wasm = wat(&[import], &[AGENT]);
        let error = embed(&wasm, agent(""), described())
            .unwrap_err()
            .to_string();
        assert!(error.contains(import) && error.contains(line), "{error}");
        // The lines that it names are the cure.
        let added = error.split_once("\n\n").unwrap().1;
        let cured = embed(&wasm, agent(added), described());
        assert!(cured.is_ok(), "{import}: {:?}", cured.err());
    }
    for import in [
        "wasi:http/outgoing-handler@0.2.0",
        "wasi:sockets/tcp@0.2.0",
        "evil:corp/shell@1.0.0",
    ] {
        let error = embed(&wat(&[import], &[AGENT]), agent(""), described())
            .unwrap_err()
            .to_string();
        assert!(error.contains(import), "{error}");
    }
    let inert = wat(
        &["wasi:cli/environment@0.2.0", "wasi:io/streams@0.2.0"],
        &[AGENT],
    );
    assert!(embed(&inert, agent(""), described()).is_ok());
}

#[test]
fn code_and_manifest_agree_on_what_it_is() {
    let error = embed(&wat(&[], &[TOOL]), agent(""), described())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("[agent]") && error.contains("mandate:agent/agent") && error.contains(TOOL),
        "{error}"
    );
    let tools = |names: &[&str]| {
        let described = |name: &&str| ToolDescription {
            name: (*name).to_owned(),
            summary: String::new(),
            arguments: json!({"type": "object"}),
            result: json!({}),
        };
        Description::Tools(names.iter().map(described).collect())
    };
    let declared = manifest("[[tool]]\nname = \"a\"\neffects = \"none\"\n");
    let error = |description| {
        embed(&wat(&[], &[TOOL]), declared.clone(), description)
            .unwrap_err()
            .to_string()
    };
    assert!(embed(&wat(&[], &[TOOL]), declared.clone(), tools(&["a"])).is_ok());
    assert!(error(tools(&["a", "b"])).contains("name = \"b\""));
    assert!(error(tools(&["a", "a"])).contains("twice"));
    assert!(error(tools(&[])).contains("`a`"));
    assert!(error(described()).contains("[agent]"));
    let estimates =
        manifest("[[tool]]\nname = \"a\"\neffects = \"reversible\"\ncost = \"estimate\"\n");
    let unable = embed(&wat(&[], &[TOOL]), estimates.clone(), tools(&["a"])).unwrap_err();
    assert!(
        unable.to_string().contains("mandate:tool/estimate"),
        "{unable}"
    );
    let able = wat(&[], &[TOOL, "mandate:tool/estimate@1.1.0"]);
    assert!(embed(&able, estimates, tools(&["a"])).is_ok());
    assert!(embed(&able, declared.clone(), tools(&["a"])).is_ok());
    let mut lie = tools(&["a"]);
    if let Description::Tools(tools) = &mut lie {
        tools[0].result = json!({"$ref": "http://127.0.0.1/"});
    }
    assert!(error(lie).contains("the result of `a`"));
}

#[test]
fn a_signature_covers_all_before_it() {
    let secret = [7; 32];
    let signed = Package::read(sign(demo().bytes, &secret).unwrap()).unwrap();
    let signature = signed.signature.clone().unwrap();
    assert!(signature.valid);
    assert_eq!(signature.publisher_key, public_key(&secret));
    assert_eq!(
        signed.digest,
        demo().digest,
        "a signature does not change the digest"
    );
    assert_eq!(signed.unsigned(), demo().bytes);

    let last = signed.unsigned().len();
    let position = signed.bytes[..last]
        .windows(7)
        .rposition(|w| w == b"A demo.")
        .unwrap();
    let mut tampered = signed.bytes.clone();
    tampered[position] = b'B';
    let tampered = Package::read(tampered).unwrap();
    assert_eq!(tampered.manifest.plugin.description, "B demo.");
    assert!(!tampered.signature.clone().unwrap().valid);
    assert_eq!(TrustedKeys::default().judge(&tampered), Trust::Invalid);

    // Signing again replaces.
    let other = Package::read(sign(signed.bytes.clone(), &[8; 32]).unwrap()).unwrap();
    assert_eq!(other.signature.unwrap().publisher_key, public_key(&[8; 32]));
}

#[test]
fn a_key_is_trusted_for_its_publisher_only() {
    let secret = [7; 32];
    let signed = Package::read(sign(demo().bytes, &secret).unwrap()).unwrap();
    let mut keys = TrustedKeys::default();
    assert_eq!(keys.judge(&demo()), Trust::Unsigned);
    assert_eq!(keys.judge(&signed), Trust::UnknownKey);
    keys.trust("somebody-else", &public_key(&secret)).unwrap();
    assert_eq!(keys.judge(&signed), Trust::UnknownKey);
    keys.trust("acme", &public_key(&secret)).unwrap();
    assert_eq!(keys.judge(&signed), Trust::Trusted);
    assert!(keys.trust("acme", "no key").is_err());
}

#[test]
fn nothing_comes_after_the_signature() {
    let signed = sign(demo().bytes, &[7; 32]).unwrap();
    let at = signed.len();
    for more in [
        section("note", b"x"),
        section(PLUGIN_SECTION, b"{}"),
        section(SIGNATURE_SECTION, b"{}"),
        vec![0],
    ] {
        assert_eq!(
            read(plus(signed.clone(), &more)),
            PackageError::AfterSignature { at }
        );
    }
    let garbage = plus(demo().bytes, &section(SIGNATURE_SECTION, b"{}"));
    assert!(matches!(read(garbage), PackageError::BadSignature { .. }));
}

#[test]
fn a_module_without_the_contract_inside_becomes_nothing() {
    let module = wat::parse_str("(module (func (export \"f\")))").unwrap();
    let made = component(module)
        .map_err(|error| error.to_string())
        .and_then(|wasm| embed(&wasm, agent(""), described()).map_err(|error| error.to_string()));
    let error = made.unwrap_err();
    assert!(
        error.contains("mandate:agent/agent") || error.contains("mandate_sdk::agent!"),
        "{error}"
    );
    let already = wat(&[], &[AGENT]);
    assert_eq!(component(already.clone()).unwrap(), already);
}

#[test]
fn authority_in_plain_words() {
    let asks = agent(
        "[capabilities.llm]\nclasses = [\"fast\"]\nmax_cost_per_task = 100_000\n\
         [capabilities.invoke]\ntools = [\"text.*\"]\n\
         [capabilities.records]\nread = [\"notes\"]\n\
         [[triggers.schedule]]\nevery = \"5m\"\nkind = \"demo\"\ntitle = \"Look\"\n",
    );
    let wasm = wat(
        &["mandate:llm/llm@1.0.0", "mandate:records/records@1.0.0"],
        &[AGENT],
    );
    let package = embed(&wasm, asks, described()).unwrap();
    let text = Authority::of(&package).to_string();
    for line in [
        "demo 0.1.0: an agent by acme",
        "not signed",
        "does tasks of the kind demo",
        "ask fast models for up to $0.10 per task",
        "call the tools text.*",
        "read the collection notes",
        "It may not delegate to agents, create tasks, write records, publish events,",
        "no access to files, network, environment or secrets",
        "every 5m: a task of kind demo",
        "64 MiB of memory, 30 s, 10000 steps",
        "asks for invoke without using it",
    ] {
        assert!(text.contains(line), "`{line}` is not in:\n{text}");
    }
    let json = serde_json::to_value(Authority::of(&package)).unwrap();
    assert_eq!(json["may"][0], "ask fast models for up to $0.10 per task");
}
