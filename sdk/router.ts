import * as pulumi from "@pulumi/pulumi";
import { objectNameFrom } from "../provider/model/names";
import type { Facts } from "../provider/reconcile/facts";
import { conceal, orElse } from "./inputs";
import type { PathCheckArgs } from "./path-check";
import { providerOf } from "./provider";

export type { Facts } from "../provider/reconcile/facts";

/** How to log in to one SSH server, in the vocabulary of `@pulumi/command`. */
export interface HopArgs {
    /** Host name or address. */
    host: pulumi.Input<string>;
    /** @default 22 */
    port?: pulumi.Input<number>;
    /** Anyone but root needs sudo. @default "root" */
    user?: pulumi.Input<string>;
    /** Used where no key is given, or where the server wants both. */
    password?: pulumi.Input<string>;
    /** The text of a private key; wins over `privateKeyPath`. */
    privateKey?: pulumi.Input<string>;
    /** Passphrase of the private key. */
    privateKeyPassword?: pulumi.Input<string>;
    /**
     * A private key file on the machine that runs Pulumi, read when dialing; `~/` is expanded. The best choice: a key that is
     * rotated needs no change of the program, and no key is in the state.
     */
    privateKeyPath?: pulumi.Input<string>;
    /** Path of an SSH agent's socket. @default SSH_AUTH_SOCK of the environment, where no other credential is given */
    agentSocketPath?: pulumi.Input<string>;
    /** Failed attempts to dial before giving up; -1 for no limit but `dialTimeout`. @default 10 */
    dialErrorLimit?: pulumi.Input<number>;
    /** Seconds for one attempt to dial; 0 for no limit of its own. @default 15 */
    perDialTimeout?: pulumi.Input<number>;
    /** The pinned host key or keys: `ssh-ed25519 AAAA...`, or a fingerprint `SHA256:...`. @default see `knownHosts` */
    hostKey?: pulumi.Input<string | pulumi.Input<string>[]>;
}

/** How to log in to a router: a connection object for `@pulumi/command` is accepted as it is. */
export interface ConnectionArgs extends HopArgs {
    /** The bastion, or a chain of bastions from the first to dial to the last. */
    proxy?: pulumi.Input<HopArgs> | pulumi.Input<HopArgs>[];
}

export interface RouterArgs {
    /** The router's name in ids and messages. Another name is another router. @default the resource's name */
    name?: pulumi.Input<string>;
    /**
     * Address and credentials. The environment's SSH agent is used where no credential is given. Literal keys and passwords
     * become Pulumi secrets by themselves.
     */
    connection: pulumi.Input<ConnectionArgs>;
    /** The router's pinned host key or keys; wins over `knownHosts`. */
    hostKey?: pulumi.Input<string | pulumi.Input<string>[]>;
    /** A known_hosts file, for every hop without a pinned key. @default ~/.ssh/known_hosts */
    knownHosts?: pulumi.Input<string>;
    /** Accept any host key on hops without a pinned one: whoever answers gets the credentials. @default false */
    insecureIgnoreHostKey?: pulumi.Input<boolean>;
    /** Password for sudo, for a user who isn't root and whose sudo asks. */
    sudoPassword?: pulumi.Input<string>;
    /** Seconds for reaching the router, all attempts together. @default 60 */
    dialTimeout?: pulumi.Input<number>;
    /** Seconds between keepalives; three unanswered ones end the connection. @default 10 */
    keepalive?: pulumi.Input<number>;
    /**
     * Seconds that a change waits for its confirmation through a new SSH connection. The router undoes by itself what nobody
     * confirms: because the change has cut the way to it, or because Pulumi was killed. 0: no new connection is made, and a
     * change stays without one.
     *
     * @default 30
     */
    confirmTimeout?: pulumi.Input<number>;
    /**
     * What must work on this router after every change, tried by the router itself before the change is confirmed: one that
     * fails has the change undone.
     *
     * @default []
     */
    checks?: pulumi.Input<pulumi.Input<PathCheckArgs>[]>;
}

/**
 * A router that is reached over SSH. Nothing on the router stands for it: creating it proves that it can be reached and
 * can do the work, and tells what it is.
 */
export class Router extends pulumi.dynamic.Resource {
    /** What the router is: kernel, tools, interfaces, what else manages its network. */
    declare readonly facts: pulumi.Output<Facts>;

    /** How resources on this router reach it. @internal */
    readonly endpoint: pulumi.Inputs;

    constructor(name: string, args: RouterArgs, opts?: pulumi.CustomResourceOptions) {
        const endpoint = endpointOf(name, args);
        super(providerOf("router"), name, { ...endpoint, facts: undefined }, opts, "nvi", "Router");
        this.endpoint = endpoint;
    }
}

function endpointOf(name: string, args: RouterArgs): pulumi.Inputs {
    const { connection, sudoPassword, ...rest } = args;
    return defined({ ...rest, name: orElse(rest.name, objectNameFrom(name)), connection: concealInput(connection, concealConnection), sudoPassword: conceal(sudoPassword) });
}

type Loose = Record<string, pulumi.Input<unknown>>;

/** Leaf by leaf where the program gives a plain object, so that the rest can be seen in a diff. */
function concealInput(value: unknown, concealed: (plain: Loose) => pulumi.Inputs): pulumi.Input<unknown> {
    if (pulumi.Output.isInstance(value) || value instanceof Promise) return pulumi.output(value).apply((plain) => concealInput(plain, concealed));
    // What is no object is a fault that `check` tells; it may be a credential in the wrong place.
    return typeof value === "object" && value !== null ? concealed(value as Loose) : conceal(value as pulumi.Input<string>);
}

function concealConnection({ proxy, ...hop }: Loose): pulumi.Inputs {
    if (proxy === undefined) return concealHop(hop);
    const hops = Array.isArray(proxy) ? proxy.map((one) => concealInput(one, concealHop)) : concealInput(proxy, concealHop);
    return { ...concealHop(hop), proxy: hops };
}

const SECRETS = ["password", "privateKey", "privateKeyPassword"];

function concealHop(hop: Loose): pulumi.Inputs {
    return defined(Object.fromEntries(Object.entries(hop).map(([key, value]) => [key, SECRETS.includes(key) ? conceal(value as pulumi.Input<string> | undefined) : value])));
}

const defined = (inputs: Record<string, unknown>): pulumi.Inputs => Object.fromEntries(Object.entries(inputs).filter(([, value]) => value !== undefined));
