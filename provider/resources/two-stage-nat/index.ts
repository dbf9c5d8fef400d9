import type { Resource } from "../resource";
import { render } from "./render";
import { faults, schema, type TwoStageNatInputs } from "./schema";

export const twoStageNatResource: Resource<TwoStageNatInputs> = { kind: "two-stage-nat", schema, faults, render, replacedBy: ["name", "interface", "table"] };
