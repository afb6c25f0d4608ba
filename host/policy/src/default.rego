# The rules of the host. What they say holds within what no rule can change: halt, grants, the
# cap of a grant, ceilings and budgets.
#
# `input` is what is known of the decision; docs/policy.md lists it. The first that fits counts.
package mandate.shipped

import rego.v1

verdict := said("deny", ["override:", input.override.name], "an override forbids it") if {
	input.override.outcome == "deny"
} else := said("deny", ["freeze:", input.freeze.name], ["nothing happens now (", input.freeze.when, ")"]) if {
	input.freeze.outcome == "deny"
} else := said("escalate", ["freeze:", input.freeze.name], ["a human is asked now (", input.freeze.when, ")"]) if {
	input.freeze
} else := said("escalate", ["override:", input.override.name], "an override asks a human") if {
	input.override.outcome == "escalate"
} else := said("approve", ["override:", input.override.name], "an override allows it") if {
	input.override.outcome == "approve"
} else := said("approve", "level-1", "what is of level 1 is allowed") if {
	input.level == 1
} else := said("approve", "level-2", "it can be undone, is sure enough, and the risk is not too high") if {
	input.level == 2
	count(missing) == 0
} else := said("escalate", "level-2", ["a human is asked, because ", concat(" and ", missing)]) if {
	input.level == 2
} else := said("escalate", "level-3", "a human is asked for what is of level 3")

# The part of a verdict that tells what was judged stands before what came of it.
said(outcome, rule, reason) := {
	"outcome": outcome,
	"rule": line(rule),
	"reason": concat("", [input.standing, "; ", line(reason)]),
}

line(text) := text if is_string(text)

line(parts) := concat("", parts) if is_array(parts)

# What level 2 wants and does not get.
missing contains "it cannot be undone" if not input.reversible

missing contains sprintf("it is not at least %v sure", [input.terms.min_confidence]) if not sure

missing contains sprintf("its risk is not known to be at most %v", [input.terms.max_risk]) if not safe

sure if {
	is_number(input.confidence)
	input.confidence >= input.terms.min_confidence
}

safe if order[input.risk] <= order[input.terms.max_risk]

order := {"low": 1, "medium": 2, "high": 3}
