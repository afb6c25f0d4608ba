//! The form of a plugin's authority that people read.

use super::{Authority, AutonomySection, ToolAuthority, ToolCost, listed, plural};
use mandate_types::{Effects, GuestKind};
use std::fmt;

/// `312 KiB`, exact where it is a whole number of the unit.
pub fn bytes_shown(bytes: u64) -> String {
    for (unit, size) in [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        if bytes >= size {
            let tenths = bytes.saturating_mul(10) / size;
            return match tenths % 10 {
                0 => format!("{} {unit}", tenths / 10),
                rest => format!("{}.{rest} {unit}", tenths / 10),
            };
        }
    }
    format!("{bytes} bytes")
}

fn milliseconds_shown(ms: u64) -> String {
    if ms.is_multiple_of(1_000) {
        format!("{} s", ms / 1_000)
    } else {
        format!("{ms} ms")
    }
}

fn effects_shown(tool: &ToolAuthority) -> String {
    let text = match tool.effects {
        Effects::None => "reads only",
        Effects::Internal => "changes only the host's own records, events and tasks",
        Effects::Reversible => "HAS EFFECTS on the outside world, which can be undone",
        Effects::Irreversible => "HAS EFFECTS on the outside world, for good",
    };
    match (tool.effects, tool.idempotent) {
        (Effects::None, _) => text.to_owned(),
        (_, true) => format!("{text}; calling twice has one effect"),
        (_, false) => format!("{text}; calling twice may have two effects"),
    }
}

fn cost_shown(cost: Option<ToolCost>) -> String {
    match cost {
        Some(ToolCost::Fixed(cost)) => format!("costs {cost} a call"),
        Some(ToolCost::Estimate) => "estimates what each call costs".to_owned(),
        None => "does not say what a call costs: a human is asked for each".to_owned(),
    }
}

fn autonomy_shown(autonomy: &AutonomySection) -> Option<String> {
    let level1 = autonomy
        .level1
        .map(|from| format!("of level 2 from {from} on"));
    let level2 = autonomy
        .level2
        .map(|from| format!("of level 3 from {from} on"));
    let levels: Vec<String> = level1.into_iter().chain(level2).collect();
    (!levels.is_empty()).then(|| listed(&levels, "and"))
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            GuestKind::Agent => "an agent",
            GuestKind::Tool => plural(self.tools.len(), "a tool", "a family of tools"),
        };
        writeln!(
            f,
            "{} {}: {what} by {}",
            self.id, self.version, self.publisher
        )?;
        writeln!(f, "  {}", self.description)?;
        let license = self
            .license
            .as_ref()
            .map(|l| format!(", license {l}"))
            .unwrap_or_default();
        let size = bytes_shown(self.size_bytes as u64);
        writeln!(f, "  {size}, contract {}{license}", self.contract)?;
        writeln!(f, "  digest {}", self.digest)?;
        match &self.signature {
            None => writeln!(f, "  not signed: nothing proves who published it")?,
            Some(s) if s.valid => writeln!(
                f,
                "  signed with the key {} (the bytes are those that were signed; trust in the key is the host's)",
                s.publisher_key
            )?,
            Some(s) => writeln!(
                f,
                "  SIGNATURE INVALID: the bytes are not those that the key {} signed",
                s.publisher_key
            )?,
        }
        if !self.does.is_empty() {
            let kinds = plural(self.does.len(), "kind", "kinds");
            writeln!(
                f,
                "\nIt does tasks of the {kinds} {}.",
                listed(&self.does, "and")
            )?;
        }
        if !self.tools.is_empty() {
            writeln!(f, "\nIts tools:")?;
            for tool in &self.tools {
                writeln!(f, "  - {}: {}", tool.name, tool.summary)?;
                writeln!(f, "      {}", effects_shown(tool))?;
                if tool.effects > Effects::Internal {
                    writeln!(f, "      {}", cost_shown(tool.cost))?;
                }
                if let Some(undo) = &tool.undo {
                    writeln!(f, "      undone so: {undo}")?;
                }
            }
        }
        lines(f, "It asks to be allowed to:", &self.may)?;
        if self.may.is_empty() {
            writeln!(f, "\nIt asks for nothing.")?;
        }
        if !self.may_not.is_empty() {
            writeln!(f, "\nIt may not {}.", listed(&self.may_not, "or"))?;
        }
        writeln!(
            f,
            "It has no access to files, {}environment or secrets.",
            if self.sends {
                "any other network, "
            } else {
                "network, "
            }
        )?;
        if let Some(levels) = autonomy_shown(&self.autonomy) {
            writeln!(f, "\nIt asks that its decisions be {levels}, or earlier.")?;
        }
        lines(f, "It wakes by itself:", &self.wakes)?;
        lines(f, "It brings:", &self.brings)?;
        lines(f, "It takes what others deliver:", &self.takes)?;
        if !self.settings.is_empty() {
            writeln!(f, "\nThe operator sets: {}.", listed(&self.settings, "and"))?;
        }
        let limits = &self.limits;
        writeln!(f, "\nOne invocation may use at most:")?;
        writeln!(
            f,
            "  {} of memory, {}, {} steps, {} of journal, {} of log lines,",
            bytes_shown(limits.memory_bytes),
            milliseconds_shown(limits.time_ms),
            limits.steps,
            bytes_shown(limits.journal_bytes),
            bytes_shown(limits.log_bytes),
        )?;
        writeln!(
            f,
            "  {} per argument list, {} of result, {} invocations below it, {} levels deep;",
            bytes_shown(limits.argument_bytes),
            bytes_shown(limits.result_bytes),
            limits.children,
            limits.depth,
        )?;
        writeln!(f, "  {} at the same time.", limits.concurrency)?;
        if !self.unused.is_empty() {
            writeln!(
                f,
                "\nNote: it asks for {} without using it.",
                listed(&self.unused, "and")
            )?;
        }
        Ok(())
    }
}

fn lines(f: &mut fmt::Formatter<'_>, title: &str, lines: &[String]) -> fmt::Result {
    if lines.is_empty() {
        return Ok(());
    }
    writeln!(f, "\n{title}")?;
    lines.iter().try_for_each(|line| writeln!(f, "  - {line}"))
}
