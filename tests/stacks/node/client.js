// One call to a walstream with @grpc/grpc-js: see ../README.md. The directory
// of the .proto files is in the environment: PROTO.

import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

import grpc from '@grpc/grpc-js';
import protoLoader from '@grpc/proto-loader';

function load(file) {
  return grpc.loadPackageDefinition(protoLoader.loadSync(file, {
    includeDirs: [process.env.PROTO],
    keepCase: true,
    longs: String,
    oneofs: true,
    defaults: true,
  }));
}

function say(...words) {
  process.stdout.write(words.join(' ') + '\n');
}

function credentials(options) {
  if (options.ca === undefined) {
    return grpc.credentials.createInsecure();
  }
  const read = (path) => (path === undefined ? null : readFileSync(path));
  return grpc.credentials.createSsl(
    read(options.ca), read(options.key), read(options.cert));
}

function settings(options) {
  const most = Number(options.max_message ?? -1);
  const found = {};
  if (most !== 0) {
    found['grpc.max_receive_message_length'] = most;
  }
  if (options.keepalive_s !== undefined) {
    found['grpc.keepalive_time_ms'] = Number(options.keepalive_s) * 1000;
  }
  return found;
}

function connect(Service, address, options) {
  return new Service(address, credentials(options), settings(options));
}

/** What is said with each call: metadata, options. */
function how(options) {
  const metadata = new grpc.Metadata();
  if (options.token !== undefined) {
    metadata.set('authorization', 'Bearer ' + options.token);
  }
  const deadline = options.deadline_ms === undefined
    ? {} : { deadline: Date.now() + Number(options.deadline_ms) };
  return [metadata, deadline];
}

function end(error) {
  const details = (error?.details ?? '').replace(/\s+/g, ' ');
  const line = `status ${error?.code ?? 0} ${details}\n`;
  process.stdout.write(line, () => process.exit(0));
}

/** Resolves or rejects as the call ends; take is given each message. */
function follow(call, take) {
  return new Promise((resolve, reject) => {
    call.on('data', take);
    call.on('error', reject);
    call.on('status', (status) => {
      if (status.code === 0) {
        resolve();
      }
    });
  });
}

function show(message) {
  const op = message.msg;
  const body = message[op];
  if (op === 'started') {
    say(op, body.start_lsn);
  } else if (['insert', 'update', 'delete'].includes(op)) {
    say(op, body.pg_lsn, body.json_payload);
  } else {
    say(op, body.pg_lsn);
  }
}

function obey(call) {
  createInterface({ input: process.stdin }).on('line', (line) => {
    const [word, lsn] = line.split(' ');
    if (word === 'ack') {
      call.write({ ack: { pg_lsn: lsn } });
    } else if (word === 'close') {
      call.end();
    } else if (word === 'cancel') {
      call.cancel();
    }
  });
}

function stream(address, method, options) {
  const { plugin } = load('plugin.proto');
  const client = connect(plugin.PluginService, address, options);
  const call = method === 'subscribe'
    ? client.Subscribe(...how(options)) : client.Session(...how(options));
  if (method === 'subscribe') {
    call.write({ start: {
      consumer: options.consumer ?? '',
      tables: options.tables === undefined ? [] : [options.tables],
    } });
  }
  call.on('metadata', () => say('headers'));
  obey(call);
  return follow(call, show);
}

function health(address, method, options) {
  const { Health } = load('health.proto').grpc.health.v1;
  const client = connect(Health, address, options);
  const request = { service: options.service ?? '' };
  const number = { UNKNOWN: 0, SERVING: 1, NOT_SERVING: 2, SERVICE_UNKNOWN: 3 };
  const take = (answer) => say('health', number[answer.status] ?? answer.status);
  if (method === 'watch') {
    const call = client.Watch(request, ...how(options));
    obey(call);
    return follow(call, take);
  }
  return new Promise((resolve, reject) => {
    client.Check(request, ...how(options), (error, answer) => {
      if (error) {
        reject(error);
      } else {
        take(answer);
        resolve();
      }
    });
  });
}

/** A field's bytes in a message: enough to find the name of a file. */
function fileName(descriptor) {
  // FileDescriptorProto.name is field 1, and comes first.
  if (descriptor[0] !== 0x0a) {
    throw new Error('this is no FileDescriptorProto');
  }
  return descriptor.subarray(2, 2 + descriptor[1]).toString();
}

function reflect(address, _, options) {
  const { ServerReflection } = load('reflection.proto').grpc.reflection.v1;
  const client = connect(ServerReflection, address, options);
  const call = client.ServerReflectionInfo(...how(options));
  const wanted = [];
  const next = () => {
    if (wanted.length === 0) {
      call.end();
      return;
    }
    const name = wanted.shift();
    say('service', name);
    call.write({ file_containing_symbol: name });
  };
  call.write({ list_services: '*' });
  return follow(call, (answer) => {
    for (const service of answer.list_services_response?.service ?? []) {
      wanted.push(service.name);
    }
    const files = answer.file_descriptor_response?.file_descriptor_proto ?? [];
    for (const file of files) {
      say('file', fileName(file), file.length);
    }
    next();
  });
}

const METHODS = {
  session: stream, subscribe: stream, check: health, watch: health, reflect,
};

const [address, method, ...rest] = process.argv.slice(2);
const options = Object.fromEntries(rest.map((word) => {
  const at = word.indexOf('=');
  return [word.slice(0, at), word.slice(at + 1)];
}));
METHODS[method](address, method, options).then(() => end(), end);
