"""Files from anyone: one clear error each, no code that runs, no memory that is not in the file."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from procrustes_model import SpecError
from procrustes_model.array_files import MOST_UNPACKED, Archive, opened
from procrustes_model.training import load_mask, load_mask_densities, load_masks, masks_from_checkpoint
from procrustes_model.training import masks as masks_module
from procrustes_model.training.checkpoints import find_masks, read_checkpoint
from procrustes_model.training.masks import is_mask_file, only_masks, save_masks
from tests.training.test_checkpoints import write_safetensors

MUTATIONS = 150
WEIGHTS = np.arange(-6.0, 6.0, dtype=np.float32).reshape(3, 4)


def npy(shape: str, kind: str = "'|b1'", data: bytes = b"", version: bytes = b"\1\0") -> bytes:
    """Return an array in NumPy's format with whatever header."""
    header = f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (63 - (10 + len(header)) % 64) + b"\n"
    return b"\x93NUMPY" + version + len(header).to_bytes(2, "little") + header + data


def zipped(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            npy("(1000000000000, 1000000)"),
            r"shape \[1000000000000, 1000000\] and type bool, and 0 bytes follow",
        ),
        (npy("(-5, 3)"), "its shape is none"),
        (npy("(True, 3)"), "its shape is none"),
        (npy(f"({10**30}, 2)", "'<f8'"), r"more than 2\^63"),
        (npy(f"(0, {10**30})", "'<f8'"), "a side is too long"),
        (npy("('a',)"), "header is no valid one"),
        (npy("(2, 3)", "[('a', '<f8', (1000, 1000, 1000))]"), "are not read|header is no valid one"),
        (npy("(1, 1)", "'|O'", b"x" * 8), "could run code"),
        (npy("(1, 1)", "'|S0'"), "are not read"),
        (npy("(2, 2)", data=b"\1" * 4, version=b"\x09\0"), "version 9.0"),
        (npy("(2, 2)", data=b"\1" * 3), "and 3 bytes follow"),
        (npy("(2, 2)", data=b"\1" * 5), "and 5 bytes follow"),
        (npy(f"({'1, ' * 65})", data=b"\1"), "its shape is none"),
        (npy("__import__('os').mkdir('ran')"), "header is no valid one"),
        (npy("(" * 5000), "header is no valid one"),
        (b"\x93NUMPY", "header is no valid one"),
        (b"hello", "header is no valid one"),
        (b"", "header is no valid one"),
    ],
)
def test_arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, message: str) -> None:
    monkeypatch.chdir(tmp_path)
    zipped(tmp_path / "a.npz", {"a.npy": content})
    with pytest.raises(SpecError, match=message) as caught:
        masks_from_checkpoint(tmp_path / "a.npz")
    assert "'a'" in str(caught.value)
    assert " at 0x" not in str(caught.value)
    assert [one.name for one in tmp_path.iterdir()] == ["a.npz"]


def rewrite(path: Path, change: Callable[[bytearray, int], None]) -> None:
    """Change the bytes of an archive, told where its list of members starts."""
    content = bytearray(path.read_bytes())
    change(content, content.find(b"PK\1\2"))
    path.write_bytes(content)


def test_archives(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    good = npy("(2, 2)", data=b"\1" * 4)

    def refuse(message: str) -> None:
        with pytest.raises(SpecError, match=message):
            masks_from_checkpoint(path)

    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", good)
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.npy", good)
    refuse("two members of the archive share a name")
    zipped(path, {"a.npy": good, "a": good})
    refuse("two arrays share a name")
    zipped(path, {"a.npy": good}, zipfile.ZIP_BZIP2)
    refuse("'a.npy' is compressed by a method that is not known here")

    def encrypt(content: bytearray, entry: int) -> None:
        content[6] |= 1
        content[entry + 8] |= 1

    zipped(path, {"a.npy": good})
    rewrite(path, encrypt)
    refuse("'a.npy' is encrypted")

    def claim(content: bytearray, entry: int) -> None:
        content[entry + 20 : entry + 28] = b"\xff\xff\xff\x0f" * 2

    zipped(path, {"a.npy": good})
    rewrite(path, claim)
    refuse("its members are said to have 268,435,455 bytes, the file has")

    def damage(content: bytearray, _: int) -> None:
        content[60:80] = b"\xaa" * 20

    np.savez_compressed(path, a=np.ones((50, 50), bool))
    rewrite(path, damage)
    refuse("cannot be read")


def test_small_files_with_much_in_them(tmp_path: Path) -> None:
    """Megabytes that would unpack to gigabytes are refused by what they say, without being unpacked."""
    path, size = tmp_path / "bomb.npz", 3 * 2**30
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("a.npy", npy("(4, 4)", data=bytes(16)))

    def claim(content: bytearray, entry: int) -> None:
        content[entry + 24 : entry + 28] = size.to_bytes(4, "little")

    rewrite(path, claim)
    with pytest.raises(
        SpecError, match=f"unpacked it would take {size:,} bytes, more than {MOST_UNPACKED:,}"
    ):
        masks_from_checkpoint(path)
    with pytest.raises(SpecError, match="more than"):
        load_mask_densities(path)
    assert not is_mask_file(path)


def test_masks_that_unpack_to_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layers = [("a", np.ones((20, 50), bool)), ("b", np.ones((10, 50), bool))]
    save_masks(tmp_path / "a.npz", only_masks(layers, "a test"))
    monkeypatch.setattr(masks_module, "MOST_UNPACKED", 1200)
    with pytest.raises(SpecError, match="all masks together have 1,500 elements"):
        load_masks(tmp_path / "a.npz")
    assert load_mask(tmp_path / "a.npz", "a").all()
    monkeypatch.setattr(masks_module, "MOST_UNPACKED", 900)
    with pytest.raises(SpecError, match="'a' has 1,000 elements"):
        load_mask(tmp_path / "a.npz", "a")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shape/a": np.array([2**40, 2**40])}, "has packed bits"),
        ({"shape/a": np.array([-8, -4])}, "not whole numbers from 0"),
        ({"shape/a": np.array([8.5, 4])}, "not whole numbers from 0"),
        ({"shape/a": np.ones(64, np.int64)}, "not whole numbers from 0"),
        ({"mask/a": np.zeros((1, 4))}, "has packed bits float64"),
        ({"steps": np.array([[0]])}, "whole numbers are expected"),
        ({"steps": np.array([np.nan])}, "whole numbers are expected"),
        ({"layers": 7}, "'layers' are not a list of names"),
        ({"layers": ["a", "a"]}, "not unique"),
        ({"layers": ["\x1b[31mx"]}, r"lacks 'shape/\\x1b\[31mx'"),
        ({"notes": 3}, "'notes' are not a list"),
        ({"weight_density": np.array([["a"]])}, "no valid file"),
        ({"metadata": np.array("[" * 10_000)}, "no valid file"),
    ],
)
def test_files_of_masks(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    save_masks(path := tmp_path / "a.npz", only_masks([("a", np.ones((8, 4), bool))], "a test"))
    with np.load(path) as loaded:
        arrays = {name: loaded[name] for name in loaded.files}
    metadata = json.loads(str(arrays["metadata"]))
    metadata |= {key: value for key, value in changes.items() if key in ("layers", "notes")}
    np.savez(
        path,
        **(
            arrays
            | {"metadata": np.array(json.dumps(metadata))}
            | {key: value for key, value in changes.items() if key not in ("layers", "notes")}
        ),
    )
    for read in (load_masks, load_mask_densities):
        with pytest.raises(SpecError, match=message) as caught:
            read(path)
        assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "header",
    [
        b"{",
        b"[" * 100_000,
        b'"a"',
        b"\xff\xfe",
        b'{"a": 3}',
        b'{"a": {"dtype": ["F32"], "shape": [4, 4], "data_offsets": [0, 64]}}',
        b'{"a": {"dtype": "F32", "shape": "44", "data_offsets": "04"}}',
        b'{"a": {"dtype": "F32", "shape": [4.0, 4], "data_offsets": [0, 64]}}',
        b'{"a": {"dtype": "F32", "shape": [true, 16], "data_offsets": [0, 64]}}',
        b'{"a": {"dtype": "F32", "shape": [NaN], "data_offsets": [0, 64]}}',
        b'{"a": {"dtype": "F32", "shape": [4, 4], "data_offsets": [0, 64, 64]}}',
        b'{"a": {"dtype": "F32", "shape": [4, 4], "data_offsets": [9223372036854775807, 1]}}',
        b'{"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}, "a": {"dtype": "F32"}}',
        (
            b'{"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}, "b": {"dtype": "U8", "shape": [4],'
            b' "data_offsets": [3, 7]}}'
        ),
        b'{"a": {"dtype": "F32", "shape": [4, 4], "data_offsets": [' + b"9" * 6000 + b", 64]}}",
        b'{"a": {"dtype": "F32", "shape": [' + b"1, " * 99 + b'1], "data_offsets": [0, 4]}}',
    ],
)
def test_headers_of_safetensors(tmp_path: Path, header: bytes) -> None:
    (tmp_path / "a.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(64))
    with pytest.raises(SpecError, match="the checkpoint cannot be read"):
        masks_from_checkpoint(tmp_path / "a.safetensors")


@pytest.mark.filterwarnings("ignore:Sparse:UserWarning")
def test_torch_asks_for_no_more_than_is_there(torch: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.pt"

    def refuse(content: Any, message: str) -> None:
        torch.save(content, path)
        with pytest.raises(SpecError, match=message):
            masks_from_checkpoint(path)

    refuse(
        {"a": torch.ones(1).expand(10**5, 10**5)}, "'a' would take 40,000,000,000 bytes, and 4 of it are in"
    )
    with torch.sparse.check_sparse_tensor_invariants(enable=False):
        refuse({"a": torch.sparse_coo_tensor([[0], [0]], [1.0], (10**6, 10**6))}, "'a' would take")
        wild = torch.sparse_coo_tensor([[10**9], [0]], [1.0], (3, 3), check_invariants=False)
        refuse({"a": wild}, "cannot be read")
        rows = torch.tensor([0, 1, 10**6])
        wild = torch.sparse_csr_tensor(rows, torch.tensor([0, 9**9]), torch.ones(2), (2, 2))
        refuse({"a": wild}, "cannot be read")
    refuse({"a": torch.empty(2**20, 2**20, device="meta")}, "no weights.*without data")
    refuse({"a": torch.ones(4, 4, dtype=torch.complex64)}, "no weights.*complex64")
    refuse(torch.ones(4, 4), "a single tensor without a name")
    refuse({"a": torch.ones(0, 4)}, "no weights.*empty")
    cycle: dict[str, Any] = {}
    cycle |= {"a": cycle, "b": cycle}
    refuse(cycle, "its containers hold each other")
    many: list[Any] = [torch.ones(2, 2)]
    for _ in range(40):
        many = [many, many]
    refuse(many, "its containers hold each other")
    refuse({"a": Numbers(torch.Tensor)}, "its tensors take 36,000,000 bytes, the file holds")


class Numbers:
    """Unpickles as a tensor of a shape, whose numbers are nowhere."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind

    def __reduce__(self) -> tuple[Any, ...]:
        return self.kind, (3000, 3000)


def test_names_are_shown_with_escapes(torch: Any, tmp_path: Path) -> None:
    torch.save({"\x1b[31ma": torch.ones(2, 2), "\x1b]0;b\x07": torch.ones(2)}, tmp_path / "a.pt")
    found = masks_from_checkpoint(tmp_path / "a.pt")
    assert all(note.isprintable() for note in found.notes)
    assert "\\x1b]0;b\\x07" in "".join(found.notes)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".pt", ".safetensors.index.json"])
def test_pipes_folders_and_devices(request: pytest.FixtureRequest, tmp_path: Path, suffix: str) -> None:
    """None of them blocks."""
    if suffix == ".pt":
        request.getfixturevalue("torch")
    os.mkfifo(pipe := tmp_path / f"pipe{suffix}")
    (folder := tmp_path / f"folder{suffix}").mkdir()
    device = tmp_path / f"device{suffix}"
    device.symlink_to("/dev/zero")
    for path, message in ((pipe, "this is a pipe"), (folder, "no checkpoint"), (device, "a device")):
        with pytest.raises(SpecError, match=message):
            masks_from_checkpoint(path)
        with pytest.raises(SpecError, match="not a file"):
            load_mask_densities(path)
        assert not is_mask_file(path)


def test_files_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(*_: Any) -> int:
        raise PermissionError(13, "Permission denied")

    np.savez(tmp_path / "a.npz", a=WEIGHTS)
    monkeypatch.setattr(os, "open", deny)
    with pytest.raises(SpecError, match="no permission to read this file"):
        masks_from_checkpoint(tmp_path / "a.npz")


def test_what_is_not_finite_is_said(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", a=np.array([[np.nan, 0.0], [np.inf, 1.0]]))
    note = masks_from_checkpoint(tmp_path / "a.npz").notes[0]
    assert note == "Not finite (NaN or infinity), and counted as kept: 2 of 'a'."


def samples(tmp_path: Path, torch: Any) -> dict[str, tuple[bytes, Callable[[Path], Any]]]:
    """Return small good files and what reads them, by suffix."""
    found: dict[str, tuple[bytes, Callable[[Path], Any]]] = {}
    np.savez(tmp_path / "a.npz", **{"a.weight": WEIGHTS, "b": WEIGHTS > 0})
    found["a.npz"] = (tmp_path / "a.npz").read_bytes(), masks_from_checkpoint
    np.savez_compressed(tmp_path / "a.npz", **{"a.weight": WEIGHTS, "b": WEIGHTS > 0})
    found["b.npz"] = (tmp_path / "a.npz").read_bytes(), masks_from_checkpoint
    write_safetensors(tmp_path / "a.safetensors", {"a.weight": ("F32", WEIGHTS), "b": ("BOOL", WEIGHTS > 0)})
    found["a.safetensors"] = (tmp_path / "a.safetensors").read_bytes(), masks_from_checkpoint
    save_masks(tmp_path / "c.npz", only_masks([("a", WEIGHTS > 0)], "a test", ("A note.",)))
    found["c.npz"] = (
        (tmp_path / "c.npz").read_bytes(),
        lambda path: (load_masks(path), load_mask_densities(path)),
    )
    if torch is not None:
        state = {"a.weight": torch.from_numpy(WEIGHTS), "b": torch.ones(2, dtype=torch.int8)}
        torch.save({"state_dict": state, "epoch": 3}, buffer := io.BytesIO())
        found["a.pt"] = buffer.getvalue(), masks_from_checkpoint
        sparse = {"coo": torch.eye(4).to_sparse(), "csr": torch.eye(4).to_sparse_csr()}
        torch.save(sparse, buffer := io.BytesIO())
        found["b.pt"] = buffer.getvalue(), masks_from_checkpoint
    return found


def mutate(content: bytes, rng: np.random.Generator) -> bytes:
    """Return bytes that are changed, cut, doubled, or moved at random."""
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 4))):
        at, length = int(rng.integers(len(data))), int(rng.integers(1, 9))
        match int(rng.integers(6)):
            case 0:
                data[at] ^= 1 << int(rng.integers(8))
            case 1:
                data[at : at + length] = rng.bytes(length)
            case 2:
                data[at : at + length] = b""
            case 3:
                data[at:at] = data[at : at + length]
            case 4:
                data = data[: max(1, at)]
            case _:
                data[at : at + length] = rng.choice([b"\xff", b"\0", b"9", b"-"]) * length
        if not data:
            break
    return bytes(data)


@pytest.mark.parametrize("name", ["a.npz", "b.npz", "c.npz", "a.safetensors", "a.pt", "b.pt"])
@pytest.mark.filterwarnings("ignore:Sparse:UserWarning")
def test_damaged_files(request: pytest.FixtureRequest, tmp_path: Path, name: str) -> None:
    """Whatever becomes of the bytes of a file, it is read or refused by a SpecError."""
    torch = request.getfixturevalue("torch") if name.endswith(".pt") else None
    content, read = samples(tmp_path, torch)[name]
    rng = np.random.default_rng(len(name))
    path = tmp_path / name
    refused = 0
    for _ in range(MUTATIONS):
        path.write_bytes(mutate(content, rng))
        said = ""
        try:
            read(path)
        except SpecError as error:
            said = str(error)
            refused += 1
        assert said.isprintable()
    assert refused > MUTATIONS // 5


def test_parts_of_weights_at_random(tmp_path: Path) -> None:
    """Whatever stands beside whatever, of whatever type and shape, it is read or refused by a SpecError."""
    rng = np.random.default_rng(0)
    plain = ["_orig", "_mask", "_g", "_v", "_u", "_scale", "_scale_inv", "_zero_point", "_packed", "_shape"]
    inside = [".original", ".original0", ".original1", ".0.mask", ".0._u", ".0._v"]
    names = ["a.weight", "a.mask", "a.compressed", "a.bitmask", "a.shape", "a.row_offsets", "a.scale", "mask"]
    names += [f"a.weight{end}" for end in plain] + ["a.__weight_mma_mask", "a.zero_point"]
    names += [f"a.parametrizations.weight{end}" for end in inside]
    kinds = {"F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E8M0": 1, "I8": 1, "U8": 1, "I32": 4, "I64": 8}
    kinds |= {"BOOL": 1, "F64": 8, "F4": 1}
    shapes = [(), (0,), (1,), (2,), (3,), (2, 1), (2, 3), (3, 2), (2, 4), (1, 2), (0, 3), (2, 3, 1, 1)]
    read = 0
    for _ in range(4 * MUTATIONS):
        header: dict[str, Any] = {}
        data = b""
        for name in rng.choice(names, int(rng.integers(1, 6)), replace=False).tolist():
            kind, shape = str(rng.choice(list(kinds))), shapes[int(rng.integers(len(shapes)))]
            size = int(np.prod(shape, dtype=int)) * kinds[kind]
            content = bytes(size) if rng.random() < 0.2 else rng.integers(0, 5, size, np.uint8).tobytes()
            header[name] = {"dtype": kind, "shape": shape, "data_offsets": [len(data), len(data) + size]}
            data += content
        text = json.dumps(header).encode()
        (tmp_path / "a.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + data)
        try:
            checkpoint = read_checkpoint(tmp_path / "a.safetensors")
            assert find_masks(checkpoint).layers
            find_masks(checkpoint, keep=0.5)
        except SpecError:
            continue
        told = {name for weight in checkpoint.weights for name in weight.made_of or (weight.name,)}
        told |= {one.name for one in checkpoint.left}
        assert told == set(header)
        read += 1
    assert read > MUTATIONS // 2


def test_archives_read_what_numpy_writes(tmp_path: Path) -> None:
    arrays = {
        "c": np.arange(24.0).reshape(2, 3, 4),
        "fortran": np.asfortranarray(np.arange(6, dtype=">i4").reshape(2, 3)),
        "nothing": np.zeros((0, 3)),
        "scalar": np.array(True),
        "text": np.array(["a", "bc"]),
    }
    for write in (np.savez, np.savez_compressed):
        write(tmp_path / "a.npz", **arrays)
        with opened(tmp_path / "a.npz") as file:
            archive = Archive(file)
            assert archive.names == tuple(arrays)
            for name, values in arrays.items():
                assert archive.header(name) == (values.shape, values.dtype)
                assert np.array_equal(archive.read(name), values)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="this system does not say it so")
def test_memory_stays_small(tmp_path: Path) -> None:
    """A file that says it is huge costs no more than one that is not."""
    zipped(tmp_path / "a.npz", {"a.npy": npy("(60000, 60000)")})
    program = (
        "import sys; from pathlib import Path; from procrustes_model import SpecError\n"
        "from procrustes_model.training import masks_from_checkpoint\n"
        "try: masks_from_checkpoint(sys.argv[1])\n"
        "except SpecError as error: print(error, Path('/proc/self/status').read_text())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "a.npz")], capture_output=True, text=True, check=True
    )
    assert "0 bytes follow" in done.stdout
    highest = next(line for line in done.stdout.splitlines() if line.startswith("VmHWM"))
    assert int(highest.split()[1]) < 600_000  # kB
