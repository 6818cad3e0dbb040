/**
 * Every limit and every default of the three nodes, each with its unit in its name.
 *
 * @module
 */

/** Entries of a new table. */
export const TABLE_SIZE = 10;
/** The file in which a server keeps its table. */
export const DATA_FILE = "data/table.db";
/** The largest table that a server takes, in entries. */
export const MAX_TABLE_SIZE = 1_000_000;
/** The port of a server. */
export const SERVER_PORT = 6002;
/** The port of a proxy. */
export const PROXY_PORT = 6001;
/** The host that both listen on unless told otherwise. */
export const HOST = "127.0.0.1";

/** The longest line, in bytes, its newline not counted. */
export const MAX_LINE_BYTES = 64 * 1024;
/** The most indices of one request. */
export const MAX_INDICES = 1024;
/** The most indices of one ADD. */
export const MAX_ADD_INDICES = 5;
/** The most characters that an error's MSG quotes of what it complains about. */
export const MAX_QUOTED_CHARACTERS = 64;

/** The buffer into which a connection is read, in bytes. */
export const READ_BUFFER_BYTES = 16 * 1024;
/** Unsent bytes at which a connection's requests are no longer read. */
export const MAX_UNSENT_BYTES = 64 * 1024;
/** Requests of one connection that may be unanswered before no more of them are read. */
export const MAX_OUTSTANDING_REQUESTS = 1024;
/** Indices of those requests at which no more of them are read. */
export const MAX_OUTSTANDING_INDICES = 16_384;
/** Connections that a node takes at a time. */
export const MAX_CONNECTIONS = 1024;

/** Descriptors that a listener gives back, and leaves free, when the process has none left. */
export const DESCRIPTORS_ASIDE = 16;
/** For how long it leaves them free, in milliseconds. */
export const DESCRIPTORS_ASIDE_MS = 60_000;
/** The least time between two such givings back, in milliseconds. */
export const DESCRIPTORS_PAUSE_MS = 1000;

/** How long a proxy lets a request wait for the server, in milliseconds. */
export const SERVER_TIMEOUT_MS = 2000;
/** How long a client lets a request wait for the proxy, in milliseconds. */
export const CLIENT_TIMEOUT_MS = 5000;
/** The longest of either, in milliseconds: the largest delay that a timer can count. */
export const MAX_TIMEOUT_MS = 2 ** 31 - 1;
/** The least time between two looks for requests whose deadline is over, in milliseconds. */
export const EXPIRY_PAUSE_MS = 10;
/** A timer that comes so late, in milliseconds, shows that the process stood still: it does not count. */
export const STALL_MS = 100;
/** How long a proxy that starts waits for the server's first answer at most, in milliseconds. */
export const FIRST_ANSWER_MS = 1000;
/** The first pause before a proxy connects again, in milliseconds; it doubles. */
export const RECONNECT_FIRST_MS = 100;
/** The longest pause before a proxy connects again, in milliseconds. */
export const RECONNECT_LAST_MS = 5000;
/** How long a connection must last for the next pause to be the first again, in milliseconds. */
export const RECONNECT_LASTED_MS = 5000;
/** How long a node that ends waits for what is in hand, in milliseconds. */
export const SHUTDOWN_MS = 5000;
/** How long after the first signal to end another one is the same, in milliseconds. */
export const SAME_SIGNAL_MS = 500;
/** How long a closed connection's unread bytes are still read, so that the last reply arrives. */
export const LINGER_MS = 500;
/** How long nothing follows bytes without a newline before that is logged, in milliseconds. */
export const UNTERMINATED_MS = 1000;
/** The pause after a failed accept (no file descriptor left, say), in milliseconds. */
export const ACCEPT_PAUSE_MS = 100;

/** How long a commit waits for another program that writes to the file, in milliseconds. */
export const BUSY_TIMEOUT_MS = 250;
/** Pages of a file's log after which a server carries them over into the file. */
export const CHECKPOINT_PAGES = 1000;
/** How often a server that commits on and on looks at its file and log, in milliseconds. */
export const CHECKPOINT_LOOK_MS = 50;
/** The same once another program has made a checkpoint; and the pause after which it always looks. */
export const SHARED_CHECKPOINT_LOOK_MS = 2;
/** After how long without a change another program's checkpoint is taken to be over, in milliseconds. */
export const CHECKPOINT_QUIET_MS = 250;
/** How long a checkpoint may take in which the server is killed, in milliseconds. */
export const MAX_CHECKPOINT_MS = 10_000;

/** The term of a lease, in milliseconds. */
export const LEASE_TERM_MS = 1000;
/** The longest term, in milliseconds. */
export const MAX_LEASE_TERM_MS = 3_600_000;
/** The part of the term that a proxy leaves unused, for clocks that do not run alike. */
export const LEASE_DRIFT = 0.02;
/** A lease is renewed when this part of its term has passed. */
export const LEASE_RENEWAL = 1 / 3;
/** The part of its term for which a write waits for holders before the server says for whom. */
export const LONG_WAIT = 1 / 10;
/** How often its log says so at most, in milliseconds. */
export const LONG_WAIT_LOG_MS = 10_000;
/** Terms without an answer to SUB after which a proxy gives the connection up. */
export const SILENT_TERMS = 4;
/** Terms after which a server closes a session whose lease is over. */
export const MAX_LAPSED_TERMS = 10;
/** Unsent bytes at which a server closes a session that takes nothing of them. */
export const MAX_SESSION_UNSENT_BYTES = 1024 * 1024;
/** For how long it must have taken nothing, in milliseconds. */
export const DEAF_MS = 250;
/** Unsent bytes at which a server closes any session. */
export const MAX_SESSION_BACKLOG_BYTES = 32 * 1024 * 1024;
/**
 * What the requests in line, and the unsent bytes and unanswered invalidations of all sessions, may
 * take up of a server's memory; over it, the session that takes up most is closed.
 */
export const MAX_SESSIONS_BYTES = 128 * 1024 * 1024;
/** What a session may take up that is not closed for it. */
export const MAX_SMALL_SESSION_BYTES = 64 * 1024;
/**
 * What the requests in hand may take up before clients that have some there are no longer read: those in
 * line at a server, those that wait for the server at a proxy.
 */
export const MAX_CLIENTS_BYTES = 32 * 1024 * 1024;
/** What a request in hand counts as, without its indices, in bytes of memory. */
export const REQUEST_BYTES = 256;
/** What an index of it does, up to its reply. */
export const INDEX_BYTES = 32;
/** Unsent bytes at which a proxy that is asked to drop entries gives the server up. */
export const MAX_UPSTREAM_UNSENT_BYTES = 16 * 1024 * 1024;
/** Unanswered invalidations at which a server closes a session. */
export const MAX_UNANSWERED_INVALIDATIONS = 65_536;

/** Bytes of log and trace that standard error may leave unread before further lines are dropped. */
export const MAX_UNREAD_LOG_BYTES = 1024 * 1024;
/** Bytes that the reader of its output may leave unread before a client sends no more. */
export const MAX_UNREAD_OUTPUT_BYTES = 64 * 1024;
/** The longest pause before an output that takes nothing is tried again, in milliseconds. */
export const OUTPUT_RETRY_MS = 100;
/** How long a program that ends waits for a reader of its output that takes nothing, in milliseconds. */
export const OUTPUT_END_MS = 500;
/** For how long what repeats must not have happened to be over, in milliseconds. */
export const RECURRENCE_OVER_MS = 10_000;
/** How often the log says, while it repeats, how often it came, in milliseconds. */
export const RECURRENCE_REMINDER_MS = 60_000;
