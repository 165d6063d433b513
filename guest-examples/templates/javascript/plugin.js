// Lists the working directory: each file with its size, and the sum.

import submit from "aiohost:aio/submit@0.1.0";
import stdout from "wasi:cli/stdout@0.2.0";

// How many requests are in flight at most. 64 keep a fast disk busy.
const IN_FLIGHT = 64;

// What the host calls, since the world exports wasi:cli/run.
export const run = {
  run() {
    // `undefined` is the directory to start from: the working directory, which is the first one that was granted.
    const names = take(".", submit.readdir(undefined, ".")).sort();
    const requests = [];
    let bytes = 0n;
    for (const [shown, name] of names.entries()) {
      // A request returns at once: the host looks at some files while we print others.
      while (requests.length < Math.min(names.length, shown + IN_FLIGHT)) {
        requests.push(submit.lstat(undefined, names[requests.length]));
      }
      const { type, size } = take(name, requests[shown]);
      const isFile = type === "regular-file";
      if (isFile) bytes += BigInt(size);
      print(`${String(isFile ? size : "-").padStart(10)}  ${name}${type === "directory" ? "/" : ""}`);
    }
    print(`${names.length} entries, ${bytes} bytes`);
  },
};

// Waits for a request and takes what it has come to.
function take(path, request) {
  try {
    return request.wait().val;
  } catch (error) {
    const { code, errno } = error.payload;
    throw new Error(`${path}: ${code}, errno ${errno}`);
  } finally {
    request[Symbol.dispose]();
  }
}

function print(line) {
  stdout.getStdout().blockingWriteAndFlush(utf8(`${line}\n`));
}

// The engine has no TextEncoder.
function utf8(text) {
  return Uint8Array.from(unescape(encodeURIComponent(text)), (character) => character.charCodeAt(0));
}
