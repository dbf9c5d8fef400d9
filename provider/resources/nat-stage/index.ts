import type { Resource } from "../resource";
import { faults } from "./faults";
import { render } from "./render";
import { schema, type NatStageInputs } from "./schema";

export const natStageResource: Resource<NatStageInputs> = { kind: "nat-stage", schema, faults, render, replacedBy: ["name", "table"] };
