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
    /**
     * The pinned host key: `type base64`, a line of ssh-keyscan or known_hosts, or a fingerprint, `ssh-rsa SHA256:...`.
     * A bare `SHA256:...` does not say which of a server's keys to ask for: then ssh-ed25519 is asked for first.
     */
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
    /**
     * A known_hosts file, for every hop without a pinned key.
     * @default the user's and the system's, ~/.ssh/known_hosts and /etc/ssh/ssh_known_hosts
     */
    knownHosts?: string;
    /** Accept any host key but a revoked one, on every hop without a pinned one. The explicit opt-out. @default false */
    insecureIgnoreHostKey?: boolean;
    /** Password for sudo, when the user is not root and sudo asks for one. */
    sudoPassword?: string;
    /** Seconds for reaching the router, all attempts together. @default 60 */
    dialTimeout?: number;
    /** Seconds of silence before a keepalive; three unanswered ones end the connection. 0 for none. @default 10 */
    keepalive?: number;
    /** Seconds that a change waits for its confirmation through a new connection before the router undoes it; 0: it waits for none. @default 30 */
    confirmTimeout?: number;
}
