// Prints the changes of a PostgreSQL database that walstream streams.
//
// A client to copy: put your own code into handle(). It takes whole
// transactions, acknowledges each when handle() is done, and reconnects.

import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import grpc from '@grpc/grpc-js';
import protoLoader from '@grpc/proto-loader';

// walstream remembers under this name, while it runs, what was acknowledged.
const CONSUMER = 'js-client';

const PROTO = fileURLToPath(
  new URL('../../proto/plugin.proto', import.meta.url));

const { plugin } = grpc.loadPackageDefinition(protoLoader.loadSync(PROTO, {
  keepCase: true,
  longs: String, // a Number cannot hold every position
  defaults: true,
  oneofs: true, // message.msg names the kind of message
}));

const CHANNEL_OPTIONS = {
  // An event is as large as its row; the default would be 4 MiB.
  'grpc.max_receive_message_length': -1,
  // Notice within 40 s that the server, or the network, is gone.
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
  // A connection for each client, so that only our own delays count.
  'grpc.use_local_subchannel_pool': 1,
  // No copies of what we send, for retries by gRPC itself: with them write()
  // would call back before anything is sent.
  'grpc.per_rpc_retry_buffer_size': 0,
};

const SHORTEST_DELAY = 100; // milliseconds, before trying again
const LONGEST_DELAY = 10_000;

// Any other status asks for a human: walstream's README says what each means.
const TRY_AGAIN = new Set([
  grpc.status.OK,
  grpc.status.UNAVAILABLE, // walstream or PostgreSQL cannot be reached
  grpc.status.RESOURCE_EXHAUSTED, // we were slow and held others up
  grpc.status.INTERNAL, // these two: the connection broke
  grpc.status.CANCELLED,
]);

/** The stream is over; code says why. */
class StreamEnded extends Error {
  constructor(code, details) {
    super(`${grpc.status[code]}: ${details}`);
    this.code = code;
  }
}

/**
 * Your code goes here. When it is done, the transaction is acknowledged and
 * does not come again. When it throws, the client ends, and the transaction is
 * the first to come at the next start.
 */
async function handle(transaction) {
  for (const { op, event } of transaction.events) {
    const table = `${event.schema}.${event.table}`;
    await print(op === 'truncate'
      ? `truncate ${table}` : `${op} ${table} ${event.json_payload}`);
  }
  const lsn = lsnText(transaction.pg_lsn);
  await print(`commit ${lsn} ${transaction.events.length}`);
}

/** Resolves when the line is written, and not merely buffered. */
function print(line) {
  return new Promise((done) => process.stdout.write(line + '\n', done));
}

/** A position as PostgreSQL writes it. */
function lsnText(pg_lsn) {
  const lsn = BigInt(pg_lsn);
  const hex = (half) => half.toString(16).toUpperCase();
  return `${hex(lsn >> 32n)}/${hex(lsn & 0xffffffffn)}`;
}

/**
 * The transactions of a call, each { events, pg_lsn }, until StreamEnded is
 * thrown. onMessage is called for every message.
 */
async function* transactions(call, onMessage) {
  let events = [];
  try {
    // No more than a few messages are read ahead. While handle() is busy
    // walstream waits, and nothing piles up here.
    for await (const message of call) {
      onMessage();
      switch (message.msg) {
        case 'begin':
          events = [];
          break;
        case 'insert':
        case 'update':
        case 'delete':
        case 'truncate':
          events.push({ op: message.msg, event: message[message.msg] });
          break;
        case 'commit':
          yield { events, pg_lsn: message.commit.pg_lsn };
      }
    }
  } catch (error) {
    throw new StreamEnded(error.code, error.details);
  }
  throw new StreamEnded(grpc.status.OK, 'walstream ended the stream');
}

/**
 * A function that sends on call. Its promise resolves when the message is sent,
 * or when it cannot be any more, because the stream is over.
 */
function sender(call) {
  let over = false;
  let done = () => {};
  call.once('status', () => { over = true; done(); });
  return (message) => new Promise((resolve) => {
    done = resolve;
    if (over) done(); else call.write(message, resolve);
  });
}

/** Handles the transactions of one stream. Returns when told to stop. */
async function subscribe(address, stop, onMessage) {
  const client = new plugin.PluginService(
    address, grpc.credentials.createInsecure(), CHANNEL_OPTIONS);
  const call = client.Subscribe();
  const send = sender(call);
  let handling = false;
  const onStop = () => handling || call.cancel();
  stop.addEventListener('abort', onStop);
  try {
    send({ start: { consumer: CONSUMER } });
    for await (const transaction of transactions(call, onMessage)) {
      handling = true;
      await handle(transaction);
      await send({ ack: { pg_lsn: transaction.pg_lsn } });
      handling = false;
      if (stop.aborted) return;
    }
  } finally {
    stop.removeEventListener('abort', onStop);
    call.cancel();
    client.close();
  }
}

/** Handles transactions until told to stop, or until trying is no use. */
async function follow(address, stop) {
  let delay = SHORTEST_DELAY;
  while (!stop.aborted) {
    try {
      await subscribe(address, stop, () => { delay = SHORTEST_DELAY; });
    } catch (error) {
      if (!(error instanceof StreamEnded)) throw error; // of handle()
      if (stop.aborted) return;
      if (!TRY_AGAIN.has(error.code)) throw error;
      console.error(`trying again: ${error.message}`);
      const some = delay * (0.5 + Math.random() / 2);
      await sleep(some, undefined, { signal: stop }).catch(() => {});
      delay = Math.min(2 * delay, LONGEST_DELAY);
    }
  }
}

const stopping = new AbortController();
process.once('SIGINT', () => stopping.abort());
process.once('SIGTERM', () => stopping.abort());
try {
  await follow(process.argv[2] ?? '127.0.0.1:50051', stopping.signal);
} catch (error) {
  console.error(error instanceof StreamEnded ? error.message : error);
  process.exitCode = 1;
}
