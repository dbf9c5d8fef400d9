import type { Endpoint } from "../host/endpoint";
import type { Host } from "../host/host";
import { pool } from "../host/pool";
import { Router } from "../host/router";
import type { Bag } from "./bag";

/** One connection a router, for as long as the engine keeps the provider's process. */
export const hostOf = (inputs: Bag): Host => new Router(inputs.router as Endpoint, pool);
