import { PROTOCOL, type Rule } from "../../syntax/artifact";
import { ipFamily, overlap, ruleCommand, ruleKey, ruleValue, type ObservedRule } from "../../syntax/iproute";
import { order, type Kind, type Step } from "../kind";
import type { Snapshot } from "../snapshot";

const ours = (rule: Rule, snapshot: Snapshot): ObservedRule[] =>
    snapshot.rules.filter((found) => found.protocol === PROTOCOL && !found.other && ruleKey(found) === ruleKey(rule));

const removal = (rule: Rule, found: ObservedRule): Step => ({ order: order(rule), label: ruleKey(rule), do: [ruleCommand("del", found)], undo: [ruleCommand("add", found)] });

export const ruleKind: Kind<Rule> = {
    key: ruleKey,
    requests: () => ({ lines: [] }),
    entries: (rule) => ({ [ruleKey(rule)]: ruleValue(rule) }),

    observed(rule, snapshot) {
        const values = ours(rule, snapshot).map(ruleValue);
        return values.length === 0 ? {} : { [ruleKey(rule)]: values.join(" and ") };
    },

    occupied(rule, snapshot) {
        const other = snapshot.rules.find((found) => found.family === rule.family && found.priority === rule.priority && found.protocol !== PROTOCOL);
        return other && `priority ${rule.priority} of ${ipFamily(rule.family)} rules is in use by somebody else (${ruleValue(other)})`;
    },

    // Ours are told from others' by protocol wherever they are looked at.
    isMarked: () => true,

    disturbs: (rule, other) => other.kind === "rule" && overlap(rule, other),

    ensure(rule, { snapshot }) {
        const found = ours(rule, snapshot);
        const wrong = found.filter((one) => ruleValue(one) !== ruleValue(rule));
        const add = { order: order(rule), label: ruleKey(rule), do: [ruleCommand("add", rule)], undo: [ruleCommand("del", rule)] };
        const removals = wrong.map((one) => removal(rule, one));
        // The new one is there before the old one goes.
        return wrong.length === found.length ? [add, ...removals] : removals;
    },

    remove: (rule, { snapshot }) => ours(rule, snapshot).map((found) => removal(rule, found)),
};
