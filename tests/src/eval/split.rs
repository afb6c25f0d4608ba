//! A split of PetShop on disk: the call graph, the time without faults, and the faults.

use super::table::{self, Table};
use anyhow::{Context, bail};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// A folder of faults and what they are compared with.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// Everything that the graph names, in its order.
    pub components: Vec<String>,
    /// Caller and callee.
    pub edges: Vec<(String, String)>,
    /// Without faults.
    pub baseline: Table,
    /// By folder, then by number.
    pub issues: Vec<Issue>,
}

/// A fault.
#[derive(Clone, Debug, PartialEq)]
pub struct Issue {
    /// As `train/issue_3`.
    pub name: String,
    /// The minutes around it.
    pub metrics: Table,
    /// Where it shows.
    pub target: Target,
    /// Where [`Issue::root_cause`] is read, after the agents have answered.
    file: PathBuf,
}

/// Where a fault shows.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Target {
    /// The component.
    pub node: String,
    /// `latency`, `availability`, or something that is neither.
    pub metric: String,
    /// In seconds since 1970.
    pub timestamp: f64,
}

impl Split {
    /// Reads `DIR/graph.csv`, `DIR/noissue/metrics.csv`, and each `issue_*` below `DIR/train` and `DIR/test`.
    ///
    /// # Errors
    /// When something of that is missing or cannot be read; the message names the file.
    pub fn read(dir: &Path) -> anyhow::Result<Self> {
        if !dir.is_dir() {
            bail!("{} is not a folder", dir.display());
        }
        let mut folders = Vec::new();
        for part in ["train", "test"] {
            find_issues(&dir.join(part), part, &mut folders)?;
        }
        let graph = dir.join("graph.csv");
        let bytes = std::fs::read(&graph).with_context(|| {
            format!(
                "{} is no split of PetShop: cannot read {}",
                dir.display(),
                graph.display()
            )
        })?;
        let (components, edges) =
            parse_graph(&bytes).with_context(|| format!("{} is no call graph", graph.display()))?;
        let baseline = Table::read(&dir.join("noissue/metrics.csv"))?;
        if folders.is_empty() {
            bail!(
                "there is no folder issue_* with a target.json below {0}/train or {0}/test",
                dir.display()
            );
        }
        folders.sort();
        let issues = folders
            .into_iter()
            .map(|((_, _, name), folder)| Issue::read(name, &folder))
            .collect::<anyhow::Result<_>>()?;
        Ok(Self {
            components,
            edges,
            baseline,
            issues,
        })
    }
}

impl Issue {
    fn read(name: String, folder: &Path) -> anyhow::Result<Self> {
        #[derive(Deserialize)]
        struct File {
            target: Target,
        }
        let file = folder.join("target.json");
        let File { target } = parse(&file)?;
        Ok(Self {
            name,
            metrics: Table::read(&folder.join("metrics.csv"))?,
            target,
            file,
        })
    }

    /// The true cause. To be read once the agents have answered, and shown to none of them.
    ///
    /// # Errors
    /// When the file does not say.
    pub fn root_cause(&self) -> anyhow::Result<String> {
        #[derive(Deserialize)]
        struct File {
            root_cause: Cause,
        }
        #[derive(Deserialize)]
        struct Cause {
            node: String,
        }
        Ok(parse::<File>(&self.file)?.root_cause.node)
    }
}

fn parse<T: serde::de::DeserializeOwned>(file: &Path) -> anyhow::Result<T> {
    let text = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_slice(&text)
        .with_context(|| format!("{} is not what says where a fault shows", file.display()))
}

/// Where an issue stands in the list: its folder, its number, its name.
type Place = (String, u64, String);

/// Each folder `issue_*` below `dir`, at any depth; what else is there does not matter.
fn find_issues(dir: &Path, name: &str, found: &mut Vec<(Place, PathBuf)>) -> anyhow::Result<()> {
    if !dir.is_dir() {
        return Ok(());
    }
    let entries =
        std::fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))?;
    for entry in entries {
        let path = entry?.path();
        let Some(last) = path.file_name().and_then(|last| last.to_str()) else {
            continue;
        };
        if !path.is_dir() || last.starts_with('.') {
            continue;
        }
        let full = format!("{name}/{last}");
        match last.strip_prefix("issue_") {
            Some(number) if path.join("target.json").is_file() => {
                let number = number.parse().unwrap_or(u64::MAX);
                found.push(((name.to_owned(), number, full), path));
            }
            Some(_) => {}
            None => find_issues(&path, &full, found)?,
        }
    }
    Ok(())
}

/// A component, and one that it calls.
type Edge = (String, String);

/// The components and edges of an adjacency matrix whose rows call its columns.
fn parse_graph(bytes: &[u8]) -> anyhow::Result<(Vec<String>, Vec<Edge>)> {
    let mut rows = table::records(bytes);
    let head = rows.next().context("it is empty")??;
    let mut components: Vec<String> = Vec::new();
    let mut add = |name: &str| {
        if !components.iter().any(|known| known == name) {
            components.push(name.to_owned());
        }
    };
    head.iter().skip(1).for_each(&mut add);
    let mut edges = Vec::new();
    for (number, row) in rows.enumerate() {
        let row = row?;
        let caller = row.get(0).unwrap_or_default();
        if caller.is_empty() {
            bail!("row {} has no name", number + 2);
        }
        add(caller);
        for (callee, cell) in head.iter().zip(row.iter()).skip(1) {
            let calls = match cell.trim() {
                "" => false,
                text => {
                    text.parse::<f64>()
                        .ok()
                        .filter(|share| share.is_finite())
                        .with_context(|| format!("row {}: `{text}` is no number", number + 2))?
                        != 0.0
                }
            };
            if calls {
                edges.push((caller.to_owned(), callee.to_owned()));
            }
        }
    }
    if edges.is_empty() {
        bail!("it has no edge");
    }
    Ok((components, edges))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_call_columns() {
        let (components, edges) = parse_graph(b",b,\"a,1\"\n\"a,1\",1.0,0.0\nb,,0\n").unwrap();
        assert_eq!(components, ["b", "a,1"]);
        assert_eq!(edges, [("a,1".to_owned(), "b".to_owned())]);
    }

    #[test]
    fn issues_are_found_at_any_depth_in_the_order_of_their_numbers() {
        let dir = tempfile::tempdir().unwrap();
        let table = "microservice,a\nmetric,latency\nstatistic,p99\n300,1\n";
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("graph.csv", ",a,b\na,0,1\nb,0,0\n");
        write("noissue/metrics.csv", table);
        write("test/notes.txt", "");
        write("test/issue_x", "a file");
        write("test/issue_7/metrics.csv", table);
        let none = Split::read(dir.path()).unwrap_err();
        assert!(
            format!("{none:#}").contains("no folder issue_*"),
            "{none:#}"
        );
        let target = r#"{"target":{"node":"a","metric":"latency","timestamp":300},"root_cause":{"node":"b"}}"#;
        for name in [
            "test/issue_10",
            "test/issue_9",
            "test/more/issue_1",
            "train/issue_2",
        ] {
            write(&format!("{name}/metrics.csv"), table);
            write(&format!("{name}/target.json"), target);
        }
        let split = Split::read(dir.path()).unwrap();
        let names: Vec<&str> = split
            .issues
            .iter()
            .map(|issue| issue.name.as_str())
            .collect();
        assert_eq!(
            names,
            [
                "test/issue_9",
                "test/issue_10",
                "test/more/issue_1",
                "train/issue_2"
            ]
        );
        assert_eq!(split.issues[0].root_cause().unwrap(), "b");
    }
}
