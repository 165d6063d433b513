"""Works in a tree of its own with what the standard library has for files, and prints what it finds: the same on each system."""

import errno
import os
import shutil
import tempfile
import zlib

FOLDERS = 20
FILES = 150


def failure(call, *arguments) -> str:
    """The name of the error that a call ends with."""
    try:
        call(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "none"


def plant() -> None:
    for folder in range(FOLDERS):
        path = os.path.join("tree", f"folder {folder}")
        os.makedirs(path)
        for file in range(FILES):
            with open(os.path.join(path, f"file {file}"), "w") as out:
                out.write(f"{folder}/{file}\n" * file)


def walk(what: str) -> None:
    """Prints how many entries there are, and a sum over their names, sizes and contents in order."""
    total, entries, size = 0, 0, 0
    for path, folders, files in os.walk("tree"):
        folders.sort()
        entries += len(folders) + len(files)
        for name in sorted(files):
            with open(os.path.join(path, name), "rb") as file:
                data = file.read()
            assert len(data) == os.stat(os.path.join(path, name)).st_size
            total = zlib.crc32(data, zlib.crc32(os.path.join(path, name).encode(), total))
            size += len(data)
    with os.scandir("tree") as found:
        kinds = sorted((entry.name, entry.is_dir(), entry.is_symlink()) for entry in found)
    print(f"{what}: {entries} entries, {size} bytes, {total:08x}, {zlib.crc32(repr(kinds).encode()):08x}")


def rename() -> None:
    os.rename("tree/folder 1", "tree/moved")
    os.replace("tree/folder 2/file 3", "tree/moved/file 4")
    print("onto a full folder:", failure(os.rename, "tree/folder 3", "tree/folder 4"))
    print("what is not there:", failure(os.rename, "tree/none", "tree/some"))
    print("a folder that is there:", failure(os.mkdir, "tree/moved"))
    print("a full folder:", failure(os.rmdir, "tree/moved"))
    print("a folder as a file:", failure(open, "tree/moved", "w"))
    print("a file as a folder:", failure(os.listdir, "tree/moved/file 5"))
    os.symlink("folder 5/file 6", "tree/link")
    print("link:", os.readlink("tree/link"), os.stat("tree/link").st_size, os.path.islink("tree/link"))
    os.link("tree/folder 5/file 6", "tree/hard")
    print("the same file:", os.path.samefile("tree/hard", "tree/folder 5/file 6"), os.stat("tree/hard").st_nlink)


def temporary() -> None:
    """Makes files with names that are free, and empties a folder while it is read."""
    tempfile.tempdir = "."
    with tempfile.TemporaryDirectory() as folder:
        made = []
        for _ in range(500):
            handle, name = tempfile.mkstemp(".tmp", "part-", folder)
            os.close(handle)
            made.append(name)
        listed, removed = len(os.listdir(folder)), 0
        with os.scandir(folder) as found:
            for entry in found:
                os.unlink(entry.path)
                removed += 1
        left = os.listdir(folder)
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            file.write(b"some bytes")
            file.flush()
            size = os.path.getsize(file.name)
    print("temporary:", len(set(made)), listed, removed, left, size, os.path.exists(folder))


def positions() -> None:
    with open("log", "x+b") as file:
        print("exclusively:", failure(open, "log", "x"))
        file.writelines(b"line %d\n" % line for line in range(50_000))
        file.seek(7)
        file.write(b"LINE")
        file.truncate(300_000)
        end = file.seek(0, os.SEEK_END)
        file.seek(-10, os.SEEK_CUR)
        tail = file.read()
        os.fsync(file.fileno())
    with open("log", "ab") as file:
        file.write(b"the end\n")
    os.utime("log", ns=(981173106789000000, 981173106789000000))
    with open("log", "rb") as file:
        whole = file.read()
    print("log:", end, tail, len(whole), f"{zlib.crc32(whole):08x}", os.stat("log").st_mtime_ns)


def main() -> None:
    plant()
    walk("planted")
    rename()
    walk("renamed")
    temporary()
    positions()
    shutil.copytree("tree/moved", "tree/copied", copy_function=shutil.copyfile)
    shutil.rmtree("tree/folder 0")
    walk("removed")


if __name__ == "__main__":
    main()
