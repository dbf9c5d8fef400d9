import type { Resource } from "../resource";
import { render } from "./render";
import { faults, schema, type InterfaceInputs } from "./schema";

export const interfaceResource: Resource<InterfaceInputs> = { kind: "interface", schema, faults, render, replacedBy: ["name"] };
