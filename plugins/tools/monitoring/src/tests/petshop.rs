//! Real metrics with real faults, where the data are present; otherwise the test says that it skipped. Data and
//! answers are of AWS's PetShop dataset; the folder is named by `MANDATE_DATA`, or lies beside the repository.

use super::store::Store;
use crate::rank::rank;
use crate::settings::Settings;
use incident_contract::incident::Symptom;
use incident_contract::ranking::{RankArguments, Ranking};
use incident_contract::{Signal, Window, time};
use std::path::{Path, PathBuf};

const SECOND: u64 = 1_000_000;

fn folder() -> Option<PathBuf> {
    let data = std::env::var_os("MANDATE_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/data"),
        PathBuf::from,
    );
    let folder = data.join("petshop");
    folder.is_dir().then_some(folder)
}

/// Adds a file of metrics: three header rows, a column without a name, then a row per moment.
fn load(store: &mut Store, file: &Path) -> (u64, u64) {
    let text = std::fs::read_to_string(file).unwrap();
    let mut lines = text.lines();
    let mut header = || -> Vec<&str> { lines.next().unwrap().split(',').skip(1).collect() };
    let (services, metrics, statistics) = (header(), header(), header());
    lines.next();
    let mut times = Vec::new();
    for line in lines {
        let mut cells = line.split(',');
        let at = (cells.next().unwrap().parse::<f64>().unwrap() * SECOND as f64) as u64;
        times.push(at);
        for (column, cell) in cells.enumerate() {
            if let Ok(value) = cell.parse::<f64>() {
                store.point(
                    metrics[column],
                    services[column],
                    statistics[column],
                    at,
                    value,
                );
            }
        }
    }
    (times[0], times[times.len() - 1])
}

/// A fault with its own store, as its symptom and its true cause.
struct Fault {
    name: String,
    store: Store,
    arguments: RankArguments,
    cause: String,
}

fn faults(folder: &Path) -> Vec<Fault> {
    let mut faults = Vec::new();
    for split in ["low_traffic", "high_traffic"] {
        let split = folder.join(split);
        let mut issues: Vec<PathBuf> = std::fs::read_dir(split.join("train"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        issues.sort();
        let mut usual = Store::default();
        let graph = std::fs::read_to_string(split.join("graph.csv")).unwrap();
        let mut rows = graph.lines();
        let names: Vec<&str> = rows.next().unwrap().split(',').skip(1).collect();
        for row in rows {
            let mut cells = row.split(',');
            let caller = cells.next().unwrap();
            for (callee, cell) in names.iter().zip(cells) {
                if cell.parse::<f64>().unwrap() > 0.0 {
                    usual.call(caller, callee);
                }
            }
        }
        let (start, end) = load(&mut usual, &split.join("noissue/metrics.csv"));
        for issue in issues {
            let mut store = usual.clone();
            load(&mut store, &issue.join("metrics.csv"));
            let target: serde_json::Value =
                serde_json::from_str(&std::fs::read_to_string(issue.join("target.json")).unwrap())
                    .unwrap();
            let at = &target["target"];
            let signal = match at["metric"].as_str().unwrap() {
                "latency" => Some(Signal::Latency),
                "availability" => Some(Signal::Availability),
                _ => None,
            };
            faults.push(Fault {
                name: issue.strip_prefix(folder).unwrap().display().to_string(),
                store,
                arguments: RankArguments {
                    symptom: Symptom {
                        service: at["node"].as_str().unwrap().to_owned(),
                        signal,
                        at: Some(time(at["timestamp"].as_u64().unwrap() * SECOND)),
                    },
                    window: None,
                    baseline: Some(Window {
                        start: time(start),
                        end: time(end),
                    }),
                    limit: None,
                },
                cause: target["root_cause"]["node"].as_str().unwrap().to_owned(),
            });
        }
    }
    faults
}

/// A time after all data.
const NOW: u64 = 1_800_000_000 * SECOND;

fn ranked(fault: &Fault) -> Ranking {
    rank(&fault.arguments, &Settings::default(), &fault.store, NOW).unwrap()
}

fn first(ranking: &Ranking) -> &str {
    ranking
        .suspects
        .first()
        .map_or("", |suspect| suspect.component.as_str())
}

#[test]
fn real_faults_are_found_whatever_the_names() {
    let Some(folder) = folder() else {
        println!("skipped: no PetShop data; set MANDATE_DATA to the folder that has `petshop`");
        return;
    };
    let mut right = 0;
    let mut faults = faults(&folder);
    for fault in &mut faults {
        let ranking = ranked(fault);
        let confidence = ranking
            .suspects
            .first()
            .map_or(0.0, |suspect| suspect.confidence);
        println!(
            "{} {:?}: {} {confidence:.2} found {} journal {} KB in {} steps: {}",
            fault.name,
            fault.arguments.symptom.signal,
            first(&ranking),
            ranking.found,
            fault.store.journal.get() / 1_000,
            fault.store.steps.get(),
            ranking.reason
        );
        assert!(
            fault.store.journal.get() < 1_000_000,
            "the journal stays small"
        );
        right += usize::from(first(&ranking) == fault.cause && ranking.found);

        // Names that sort the other way round, and edges in the other order.
        let new = |name: &str| -> String {
            name.chars()
                .map(|c| char::from_u32(0x4000 - c as u32).unwrap())
                .collect()
        };
        fault.store.rename(new);
        fault.arguments.symptom.service = new(&fault.arguments.symptom.service);
        let renamed = ranked(fault);
        let pairs = ranking.suspects.iter().zip(&renamed.suspects);
        assert_eq!(ranking.suspects.len(), renamed.suspects.len());
        for (one, other) in pairs {
            assert_eq!(new(&one.component), other.component, "{}", fault.name);
            assert!((one.confidence - other.confidence).abs() < 1e-9);
        }
    }
    assert_eq!(right, faults.len(), "of the real faults, so many are found");
}
