// Writes MANIFEST.sha256: the SHA-256 of every regular file below the working directory, as sha256sum writes it.
//
// Promises do what they always do. Up to 64 files are under way at a time, since aio.js submits each request to the host at
// once and settles its promise when the host says that it is done.

import { aio, print, printError } from "./aio.js";
import { Sha256 } from "./sha256.js";
import { bytesOfPath, lines } from "./sha256sum.js";

const MANIFEST = "MANIFEST.sha256";
const TEMPORARY = "MANIFEST.sha256.tmp";
const IN_FLIGHT = 64;
const PIECE = 128 * 1024;

// What the host calls: the function `run` of the interface `run` that the world exports.
export const run = {
  async run() {
    const start = performance.now();
    try {
      const entries = await hashAll(await listFiles());
      await writeFile(MANIFEST, TEMPORARY, lines(entries));
      const bytes = entries.reduce((sum, entry) => sum + entry.size, 0);
      const seconds = (performance.now() - start) / 1000;
      print(`${entries.length} files, ${bytes} bytes, ${seconds.toFixed(3)} s`);
    } catch (error) {
      printError(error.message);
      throw undefined; // The error of `result` in WIT, which has no value: the exit status is then 1.
    }
  },
};

// The paths of everything that is no directory.
async function listFiles() {
  const files = [];
  const directories = ["."];
  while (directories.length > 0) {
    const directory = directories.pop();
    const below = (name) => (directory === "." ? name : `${directory}/${name}`);
    const scan = await aio.scandir(directory);
    for (const name of scan.directories) directories.push(below(name));
    for (const name of scan.others) files.push(below(name));
  }
  return files.filter((path) => path !== MANIFEST && path !== TEMPORARY);
}

// So many workers side by side, each of which takes a file from the list, hashes it, and takes the next one.
async function hashAll(files) {
  const entries = [];
  async function worker() {
    while (files.length > 0) {
      const entry = await hashFile(files.pop());
      if (entry) entries.push(entry);
    }
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
  return entries;
}

async function hashFile(path) {
  const status = await aio.lstat(path);
  if (status.type !== "regular-file") return undefined; // A symbolic link for instance.
  const file = await aio.open(path, { read: true, noFollow: true }, 0);
  const hash = new Sha256();
  let size = 0;
  for (let piece; (piece = await aio.read(path, file, PIECE)).length > 0; size += piece.length) hash.update(piece);
  file[Symbol.dispose](); // Closes it.
  return { path: bytesOfPath(path), hash: hash.digest(), size };
}

// Writes a file under another name and renames it, so that nobody ever sees half of it.
async function writeFile(path, temporary, bytes) {
  const file = await aio.open(temporary, { write: true, create: true, truncate: true, noFollow: true }, 0o666);
  for (let at = 0; at < bytes.length; ) at += await aio.write(temporary, file, bytes.subarray(at, at + PIECE));
  await aio.fdatasync(temporary, file);
  await aio.close(temporary, file);
  await aio.rename(temporary, path);
}
