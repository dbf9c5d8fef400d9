import type { Resource } from "../resource";
import { render } from "./render";
import { faults, schema, type IngressMarkInputs } from "./schema";

export const ingressMarkResource: Resource<IngressMarkInputs> = { kind: "ingress-mark", schema, faults, render, replacedBy: ["name"] };
