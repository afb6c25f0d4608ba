//! A small invented shop with a shared database, a circle in its topology and a little noise, in which one component
//! can be made to fail. Times and failures go up the calls as they do in a real one.

use super::store::Store;
use std::collections::BTreeMap;

/// Microseconds.
pub const SECOND: u64 = 1_000_000;

/// Where the symptom shows.
pub const ENTRY: &str = "web";

/// Who calls whom, and how often per request.
const CALLS: [(&str, &str, f64); 11] = [
    ("web", "checkout", 0.3),
    ("web", "catalogue", 0.9),
    ("web", "search", 0.5),
    ("checkout", "cart", 1.0),
    ("checkout", "payments", 0.8),
    ("payments", "ledger", 1.0),
    ("catalogue", "db", 1.5),
    ("search", "db", 1.0),
    ("ledger", "db", 1.0),
    ("cart", "cache", 2.0),
    // Called, but never waited for; and a circle.
    ("cache", "catalogue", 0.0),
];

/// In an order in which callers come first; with the seconds that each takes by itself.
pub const COMPONENTS: [(&str, f64); 9] = [
    ("web", 0.020),
    ("checkout", 0.030),
    ("search", 0.040),
    ("payments", 0.050),
    ("ledger", 0.015),
    ("cart", 0.010),
    ("cache", 0.002),
    ("catalogue", 0.025),
    ("db", 0.005),
];

/// What is wrong with a component.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trouble {
    /// It takes so many seconds more.
    Slow(f64),
    /// Such a share of its requests fails.
    Failing(f64),
    /// So many times as many requests come in, from nobody that is known, and it gets slow.
    Flooded(f64),
    /// So many times as many requests come in at the entry, and it gets slow.
    Surge(f64),
    /// It does not answer: no requests reach it, and there is no data.
    Gone,
}

/// Noise that is always the same.
pub struct Noise(u64);

impl Noise {
    /// Of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Between 0 and 1.
    pub fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Around 1.
    fn around(&mut self, share: f64) -> f64 {
        1.0 + share * (self.next() + self.next() + self.next() - 1.5)
    }
}

/// The shop, and when it is measured.
pub struct Shop {
    /// Seconds between measurements.
    pub interval: u64,
    /// How many measurements there are before the fault, and with it.
    pub before: u64,
    /// See `before`.
    pub during: u64,
    /// Noise differs by seed.
    pub seed: u64,
}

impl Shop {
    /// When the fault begins, in microseconds.
    pub fn onset(&self) -> u64 {
        (self.before * self.interval + 1_000_000) * SECOND
    }

    /// After the last measurement, in microseconds.
    pub fn end(&self) -> u64 {
        self.onset() + self.during * self.interval * SECOND
    }

    /// All measurements.
    pub fn store(&self, broken: &str, trouble: Option<Trouble>) -> Store {
        let mut store = Store::default();
        for (caller, callee, _) in CALLS {
            store.call(caller, callee);
        }
        let mut noise = Noise::new(self.seed);
        for tick in 0..self.before + self.during {
            let time = (tick * self.interval + 1_000_000) * SECOND;
            let now = trouble.filter(|_| tick >= self.before);
            self.measure(&mut store, time, broken, now, &mut noise);
        }
        store
    }

    fn measure(
        &self,
        store: &mut Store,
        time: u64,
        broken: &str,
        trouble: Option<Trouble>,
        noise: &mut Noise,
    ) {
        let rhythm = 1.0 + 0.1 * (time as f64 / 1e6 / 7_000.0).sin();
        let mut requests: BTreeMap<&str, f64> =
            BTreeMap::from([(ENTRY, 40.0 * self.interval as f64 * rhythm)]);
        for (component, _) in COMPONENTS {
            let mut own = requests.get(component).copied().unwrap_or(0.0) * noise.around(0.03);
            match trouble {
                Some(Trouble::Flooded(times)) if component == broken => own *= times,
                Some(Trouble::Surge(times)) if component == ENTRY => own *= times,
                _ => {}
            }
            requests.insert(component, own);
            for (_, callee, share) in CALLS
                .iter()
                .filter(|(caller, _, share)| *caller == component && *share > 0.0)
            {
                *requests.entry(callee).or_default() += own * share;
            }
        }
        let mut latency: BTreeMap<&str, f64> = BTreeMap::new();
        let mut working: BTreeMap<&str, f64> = BTreeMap::new();
        for (component, own) in COMPONENTS.iter().rev() {
            let here = if *component == broken { trouble } else { None };
            let mut takes = own * noise.around(0.1);
            let mut works = 1.0;
            match here {
                Some(Trouble::Slow(more)) => takes += more,
                Some(Trouble::Failing(share)) => works -= share,
                Some(Trouble::Flooded(times) | Trouble::Surge(times)) => takes *= 2.0 * times,
                Some(Trouble::Gone) => works = 0.0,
                None => {}
            }
            for (_, callee, share) in CALLS
                .iter()
                .filter(|(caller, _, share)| caller == component && *share > 0.0)
            {
                takes += latency[callee] * share;
                works *= 1.0 - (1.0 - working[callee]) * share.min(1.0);
            }
            latency.insert(component, takes);
            working.insert(component, works);
            if here == Some(Trouble::Gone) {
                continue;
            }
            let count = requests[component].round();
            let failed = ((1.0 - works) * count).round();
            for (statistic, factor) in [("Average", 1.0), ("p50", 0.9), ("p99", 2.5)] {
                store.point(
                    "latency",
                    component,
                    statistic,
                    time,
                    takes * factor * noise.around(0.03),
                );
            }
            store.point("requests", component, "Sum", time, count);
            store.point(
                "availability",
                component,
                "Average",
                time,
                100.0 * (1.0 - failed / count.max(1.0)),
            );
        }
    }
}
