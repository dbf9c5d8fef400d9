import type { Resource } from "../resource";
import { render } from "./render";
import { faults, schema, type RouteTableInputs } from "./schema";

export const routeTableResource: Resource<RouteTableInputs> = { kind: "route-table", schema, faults, render, replacedBy: ["name", "table"] };
