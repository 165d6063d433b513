// The host's requests as promises, made of the interface `submit`, whose functions return a request at once.
//
// The interface `requests` has async functions, which would be promises by themselves. componentize-qjs 0.4.5 cannot import
// such a function yet.

import control from "aiohost:aio/control@0.1.0";
import submit from "aiohost:aio/submit@0.1.0";
import stderr from "wasi:cli/stderr@0.2.0";
import stdout from "wasi:cli/stdout@0.2.0";
import { utf8 } from "./sha256sum.js";

// Paths are relative to the working directory: the directory to start from is left `undefined`. The path of a request on a file
// is for errors.
export const aio = {
  scandir: (path) => done(path, submit.scandir(undefined, path, 0)),
  lstat: (path) => done(path, submit.lstat(undefined, path)),
  open: (path, flags, mode) => done(path, submit.open(undefined, path, flags, mode)),
  read: (path, file, length) => done(path, submit.read(file, undefined, length)),
  write: (path, file, bytes) => done(path, submit.write(file, undefined, bytes)),
  fdatasync: (path, file) => done(path, submit.fdatasync(file)),
  close: (path, file) => done(path, submit.close(file)),
  rename: (from, to) => done(to, submit.rename(undefined, from, undefined, to)),
};

// What is to be called when a request is done, by the number of the request.
const waiting = new Map();

async function done(path, request) {
  await new Promise((resolve) => {
    waiting.set(request.id(), resolve);
    if (waiting.size === 1) settleAll();
  });
  try {
    return request.wait().val; // It is done, and returns at once.
  } catch (error) {
    const { code, errno } = error.payload;
    throw new Error(`${path}: ${code}, errno ${errno}`);
  } finally {
    request[Symbol.dispose]();
  }
}

// Settles the promises whose requests are done, until there are no more.
async function settleAll() {
  while (waiting.size > 0) {
    // Whoever was woken may have more to submit, a few steps further on. The host is waited for after that.
    for (let step = 0; step < 10; step++) await undefined;
    for (const id of control.waitAny()) {
      waiting.get(id)();
      waiting.delete(id);
    }
  }
}

export const print = (line) => stdout.getStdout().blockingWriteAndFlush(utf8(`${line}\n`));
export const printError = (line) => stderr.getStderr().blockingWriteAndFlush(utf8(`${line}\n`));
