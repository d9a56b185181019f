"""Wheels that attack whoever unpacks them: each is refused by name, and nothing gets out."""

import stat
import struct
import zipfile

import pytest
from tests.release.packages.wheels import ELF_X86_64, entry_for, make_wheel

from limpet.errors import Rejected
from limpet.release.packages import Target, _wheel
from limpet.release.packages._wheel import Wheel, read_wheel

X86, ARM = Target("manylinux_2_36_x86_64", "3.11"), Target("manylinux_2_36_aarch64", "3.11")


def read(made: tuple[str, bytes], target: Target = X86) -> Wheel:
    return read_wheel(*made, target)


def refuses(made: tuple[str, bytes], says: str, target: Target = X86) -> None:
    with pytest.raises(Rejected) as refused:
        read(made, target)
    assert says in refused.value.message
    assert made[0].split("-")[0] in refused.value.message


def test_a_wheel_gives_its_libraries_its_metadata_and_nothing_of_an_installer() -> None:
    data = "grip-1.0.data"
    made = make_wheel(
        "grip",
        files={
            f"{data}/purelib/grip/pure.py": b"p",
            f"{data}/platlib/grip/_native.so": ELF_X86_64,
            f"{data}/scripts/grip": b"#!python",
            f"{data}/headers/grip.h": b"h",
            f"{data}/data/etc/grip.conf": b"c",
            "grip/__pycache__/pure.cpython-311.pyc": b"x",
            "grip/.hidden": b"x",
            "grip-1.0.dist-info/INSTALLER": b"other",
            "grip-1.0.dist-info/direct_url.json": b"{}",
            "grip-1.0.dist-info/sboms/grip.cdx.json": b"{}",
        },
        metadata=["Requires-Dist: rock>=1; python_version < '3.12'"],
    )
    wheel = read(made)
    assert [path for path, _ in wheel.files] == [
        "grip-1.0.dist-info/METADATA",
        "grip-1.0.dist-info/WHEEL",
        "grip-1.0.dist-info/licenses/LICENSE",
        "grip-1.0.dist-info/sboms/grip.cdx.json",
        "grip/__init__.py",
        "grip/_native.so",
        "grip/pure.py",
    ]
    assert (wheel.name, str(wheel.version), len(wheel.requires)) == ("grip", "1.0", 1)


@pytest.mark.parametrize(
    "path",
    [
        "../outside.py", "grip/../../outside.py", "/etc/cron.d/x", "grip/./x.py", "grip//x.py",
        "C:\\x.py", "grip\\..\\x.py", "grip/two words.py", "grip/caf\u00e9.py", "..", "...", "~/x",
        "grip/" + "x" * 101, "/".join(["d"] * 30),
    ],
)  # fmt: skip
def test_a_path_that_could_leave_the_tree_or_is_no_name_is_refused(path: str) -> None:
    refuses(make_wheel("grip", entries=[(entry_for(path), b"x")]), "name")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK])
def test_a_link_or_a_device_is_refused(kind: int) -> None:
    entry = entry_for("grip/passwd", mode=kind | 0o777)
    refuses(make_wheel("grip", entries=[(entry, b"/etc/passwd")]), "neither a file")


def test_an_archive_that_unpacks_to_too_much_is_refused_before_it_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_wheel, "MAX_UNPACKED_BYTES", 1 << 20)
    read(make_wheel("grip", files={"grip/large": bytes(900_000)}))
    refuses(make_wheel("grip", files={"grip/bomb": bytes(2 << 20)}), "more than 1048576 bytes")
    monkeypatch.setattr(_wheel, "MAX_FILES", 20)
    many = {f"grip/f{number}": b"" for number in range(20)}
    refuses(make_wheel("grip", files=many), "more than 20 entries")


def test_an_entry_that_states_less_than_it_unpacks_to_is_refused() -> None:
    file, data = make_wheel("grip", files={"grip/bomb": bytes(100_000)})
    honest = struct.pack("<L", 100_000)
    assert data.count(honest) == 2
    refuses((file, data.replace(honest, struct.pack("<L", 1_000))), "not a whole archive")
    refuses((file, data.replace(honest, struct.pack("<L", 200_000))), "not")


def test_names_twice_and_other_packings_are_refused() -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = make_wheel("grip", entries=[(entry_for("grip/__init__.py"), b"other")])
    refuses(twice, "twice")
    moved = {"grip-1.0.data/purelib/grip/__init__.py": b"other"}
    refuses(make_wheel("grip", files=moved), "twice")
    packed = entry_for("grip/x.py")
    packed.compress_type = zipfile.ZIP_LZMA
    refuses(make_wheel("grip", entries=[(packed, b"x")]), "packed in a way")
    file, data = make_wheel("grip")
    at = data.index(b"PK\x01\x02") + 8
    refuses((file, data[:at] + b"\x01" + data[at + 1 :]), "packed in a way")


def test_what_record_does_not_vouch_for_is_refused() -> None:
    refuses(make_wheel("grip", record={"grip/__init__.py": b"other"}), "not what RECORD says")
    refuses(make_wheel("grip", unrecorded={"grip/x.py": b""}), "not in RECORD")
    refuses(make_wheel("grip", record={"grip/gone.py": b""}), "not what RECORD says")
    refuses(make_wheel("grip", record={"grip,,\ngrip/__init__.py": b""}), "RECORD")
    for bad in (b"\xff,,\n", b"one,two\n", b"grip/__init__.py,,\n"):
        refuses(make_wheel("grip", unrecorded={"grip-1.0.dist-info/RECORD": bad}), "RECORD")


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"zzz.pth": b"import os; os.system('id')\n"}, "each start of Python"),
        ({"limpet/__init__.py": b""}, "limpet's own"),
        ({"limpet.py": b""}, "limpet's own"),
        ({"packages.json": b"[]"}, "limpet's own"),
        ({"other-1.0.dist-info/METADATA": b""}, "and not one"),
        ({"grip-1.0.dist-info/WHEEL": b"Wheel-Version: 9.0\n"}, "Wheel-Version"),
        ({"grip-1.0.dist-info/WHEEL": b""}, "Wheel-Version"),
        ({"grip-1.0.dist-info/METADATA": b"Requires-Dist: no thing at all\n"}, "METADATA"),
        ({"grip-1.0.dist-info/METADATA": b"Requires-Python: snake\n"}, "METADATA"),
    ],
)
def test_what_a_device_must_not_get_is_refused(files: dict[str, bytes], says: str) -> None:
    refuses(make_wheel("grip", files=files), says)


def test_a_wheel_of_another_name_or_version_than_its_metadata_is_refused() -> None:
    _, data = make_wheel("grip")
    refuses(("grap-1.0-py3-none-any.whl", data), "holds grip-1.0.dist-info")
    refuses(("grip-1.1-py3-none-any.whl", data), "holds grip-1.0.dist-info")
    refuses(("grip.zip", data), "not the name of a wheel")


def test_a_library_for_another_processor_is_refused_whatever_the_name_says() -> None:
    made = make_wheel("grip", files={"grip/_native.so": ELF_X86_64})
    read(made)
    with pytest.raises(Rejected) as refused:
        read(made, ARM)
    assert refused.value.reason == "wrong-platform"
    assert "_native.so is not for aarch64" in refused.value.message


def test_a_wheel_for_another_python_is_refused() -> None:
    read(make_wheel("grip", metadata=["Requires-Python: >=3.9"]))
    made = make_wheel("grip", metadata=["Requires-Python: >=3.12"])
    refuses(made, "needs Python >=3.12, not 3.11")
    read(made, Target("manylinux_2_36_x86_64", "3.12"))


@pytest.mark.parametrize("cut", [0, 1, 100, -1, -30])
def test_what_is_cut_off_is_refused(cut: int) -> None:
    file, data = make_wheel("grip")
    refuses((file, data[:cut]), "not a whole archive")
