//! `mandate plugin new`: a plugin to begin with, in a folder that needs nothing but this binary:
//! SDK and contract come from inside it.

use anyhow::{Context, bail};
use include_dir::{Dir, include_dir};
use mandate_types::ids::is_kebab;
use std::path::{Path, PathBuf};

static SDK: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../sdk/rust");
static CONTRACT: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../wit");
static AGENT: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../sdk/templates/agent");
static TOOL: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../sdk/templates/tool");

/// Makes a folder with a plugin to begin with.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The plugin's id, in kebab case: `incident-triage`.
    pub name: String,
    /// A family of tools instead of an agent.
    #[arg(long)]
    pub tool: bool,
    /// The folder to make [default: NAME in the present one].
    #[arg(long)]
    pub dir: Option<PathBuf>,
    /// Who publishes it, in kebab case.
    #[arg(long, default_value = "example")]
    pub publisher: String,
}

/// Makes it. Never touches a folder that has something in it.
///
/// # Errors
/// When a name has not its form, the folder is not empty, or it cannot be written.
pub async fn run(args: Args) -> anyhow::Result<()> {
    for (what, text) in [
        ("the plugin's name", &args.name),
        ("the publisher", &args.publisher),
    ] {
        if !is_kebab(text) {
            bail!(
                "{what} is `{text}`; expected kebab case: lower-case letters, digits and single hyphens, such as `incident-triage`"
            );
        }
    }
    let dir = args.dir.unwrap_or_else(|| PathBuf::from(&args.name));
    if dir
        .read_dir()
        .is_ok_and(|mut entries| entries.next().is_some())
        || dir.is_file()
    {
        bail!(
            "{} is there already and not empty; choose another with --dir",
            dir.display()
        );
    }
    let template = if args.tool { &TOOL } else { &AGENT };
    unpack(template, &dir, &|text| {
        fill(text, &args.name, &args.publisher)
    })?;
    let vendored = dir.join(".mandate");
    unpack(&SDK, &vendored.join("sdk/rust"), &str::to_owned)?;
    unpack(&CONTRACT, &vendored.join("wit"), &str::to_owned)?;
    println!(
        "{} is {}. Next:\n",
        dir.display(),
        if args.tool { "a tool" } else { "an agent" }
    );
    println!("    cd {}", dir.display());
    println!("    cargo test              # its logic, without wasm");
    println!("    mandate plugin build    # one file: {}.wasm", args.name);
    Ok(())
}

/// Templates say `NAME`, `Name` and `PUBLISHER` in double braces.
fn fill(text: &str, name: &str, publisher: &str) -> String {
    text.replace("{{name}}", name)
        .replace("{{Name}}", &camel(name))
        .replace("{{crate}}", &name.replace('-', "_"))
        .replace("{{publisher}}", publisher)
}

/// `incident-triage` as the name of a Rust type: `IncidentTriage`.
fn camel(name: &str) -> String {
    name.split('-')
        .map(|word| {
            let mut letters = word.chars();
            let first: String = letters
                .next()
                .iter()
                .map(char::to_ascii_uppercase)
                .collect();
            first + letters.as_str()
        })
        .collect()
}

/// Writes every file of `from` below `to`. Files called `*.in` lose that ending: cargo takes no
/// folder with a Cargo.toml for a part of this crate.
fn unpack(from: &Dir<'_>, to: &Path, change: &dyn Fn(&str) -> String) -> anyhow::Result<()> {
    for file in from.files() {
        let Some(name) = file.path().file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        let path = to.join(name.strip_suffix(".in").unwrap_or(name));
        let written = std::fs::create_dir_all(to).and_then(|()| match file.contents_utf8() {
            Some(text) => std::fs::write(&path, change(text)),
            None => std::fs::write(&path, file.contents()),
        });
        written.with_context(|| format!("cannot write {}", path.display()))?;
    }
    for folder in from.dirs() {
        let Some(name) = folder.path().file_name() else {
            continue;
        };
        // What cargo built in place is not part of the SDK.
        if name != "target" {
            unpack(folder, &to.join(name), change)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(name: &str, dir: &Path, tool: bool) -> Args {
        Args {
            name: name.to_owned(),
            tool,
            dir: Some(dir.to_owned()),
            publisher: "acme".to_owned(),
        }
    }

    #[tokio::test]
    async fn both_templates_are_whole() {
        for tool in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let dir = folder.path().join("new");
            run(arguments("log-digest", &dir, tool)).await.unwrap();
            let manifest = std::fs::read_to_string(dir.join("plugin.toml")).unwrap();
            let manifest = mandate_plugin::Manifest::parse(&manifest, &dir).unwrap();
            assert_eq!(manifest.plugin.id, "log-digest");
            assert_eq!(manifest.agent.is_none(), tool);
            for file in [
                "Cargo.toml",
                "README.md",
                "src/lib.rs",
                ".mandate/sdk/rust/Cargo.toml",
                ".mandate/wit/types/types.wit",
            ] {
                let text = std::fs::read_to_string(dir.join(file)).unwrap();
                assert!(
                    !text.contains("{{name}}") && !text.contains("{{Name}}"),
                    "{file}"
                );
            }
        }
    }

    #[tokio::test]
    async fn nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("mine"), "mine").unwrap();
        let error = run(arguments("x", folder.path(), false))
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("not empty"), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        let error = run(arguments("Not Kebab", &folder.path().join("y"), false))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("kebab"));
    }

    #[test]
    fn types_are_named_in_camel_case() {
        assert_eq!(camel("incident-triage"), "IncidentTriage");
        assert_eq!(camel("a1"), "A1");
    }
}
