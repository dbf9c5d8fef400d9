/** How to reach one SSH server; the vocabulary of `@pulumi/command`'s connection object. */
export interface Hop {
    host: string;
    /** @default 22 */
    port?: number;
    /** @default "root" */
    user?: string;
    password?: string;
    /** The text of a private key. Takes precedence over `privateKeyPath`. */
    privateKey?: string;
    /** Passphrase of `privateKey` or of the file at `privateKeyPath`. */
    privateKeyPassword?: string;
    /** A key file on the machine that runs Pulumi, read when dialing; `~/` is expanded. */
    privateKeyPath?: string;
    /** @default the environment's SSH_AUTH_SOCK, when no other credential is given */
    agentSocketPath?: string;
    /** Failed dial attempts before giving up; -1 for no limit within the dial deadline. @default 10 */
    dialErrorLimit?: number;
    /** Seconds for one dial attempt, 0 for no limit of its own. @default 15 */
    perDialTimeout?: number;
    /** The pinned host key, as `type base64` (one line of ssh-keyscan without the host), or `SHA256:...`. */
    hostKey?: string | string[];
}

/** A router's address, identity and credentials: all that the SSH layer needs. */
export interface Endpoint {
    /** The router's name in messages. */
    name: string;
    /** `proxy` is the bastion, or the chain of bastions from the first to dial to the last. */
    connection: Hop & { proxy?: Hop | Hop[] };
    /** The router's pinned host key or keys. Wins over `knownHosts`. */
    hostKey?: string | string[];
    /** A known_hosts file, for every hop without a pinned key. @default ~/.ssh/known_hosts */
    knownHosts?: string;
    /** Accept any host key, on every hop without a pinned one. The explicit opt-out. @default false */
    insecureIgnoreHostKey?: boolean;
    /** Password for sudo, when the user is not root and sudo asks for one. */
    sudoPassword?: string;
    /** Seconds for reaching the router, all attempts together. @default 60 */
    dialTimeout?: number;
    /** Seconds between keepalives; three unanswered ones end the connection. @default 10 */
    keepalive?: number;
}
