"""Export: a registered bundle with all that a container or a cluster needs to serve it, as files to read and keep.

What serving imports is little, so an exported image holds that and not what training needs. mlwright itself comes as a
wheel that is packed here from the installed package: it is the very code that the bundle was proven with.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import io
import re
import shutil
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlwright
from mlwright.core.errors import UsageError
from mlwright.core.files import read_json, write_atomic
from mlwright.lifecycle import export_texts as texts
from mlwright.lifecycle.documentation import documentation
from mlwright.lifecycle.project import slug
from mlwright.lifecycle.verify import verify
from mlwright.tracking.registry import bundle_at, resolve
from mlwright.tracking.store import find_store

__all__ = ["TARGETS", "Exported", "export", "pack_wheel", "requirements"]

TARGETS = ("annex-iv", "docker", "k8s")
_NEEDED = ("httptools", "msgspec", "numpy", "uvloop")
_BASE_MIB = 1024  # the bodies that may be in work at once (256 MiB), what they become, and the process itself
_TIMES = 20  # a bundle as Python objects and arrays takes less than so many times its files
_BUNDLE = "bundle"
_DATED = (1980, 1, 1, 0, 0, 0)  # a zip's first day: equal code gives equal bytes


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export wrote.

    Parameters
    ----------
    target : str
        ``"annex-iv"``, ``"docker"`` or ``"k8s"``.
    model, version, sha256 : str
        What will be served.
    image : str
        The image's name in the files.
    folder : Path
        Where the files lie.
    files : tuple of Path
        What was written, the bundle's files as their folder.
    """

    target: str
    model: str
    version: str
    sha256: str
    image: str
    folder: Path
    files: tuple[Path, ...]

    def to_json(self) -> dict[str, Any]:
        """Return a JSON tree."""
        return {
            "target": self.target,
            "model": self.model,
            "version": self.version,
            "sha256": self.sha256,
            "image": self.image,
            "folder": str(self.folder),
            "files": [str(file) for file in self.files],
        }


def export(
    target: str,
    model: str | Path,
    folder: str | Path | None = None,
    *,
    image: str | None = None,
    force: bool = False,
    store: str | Path | None = None,
) -> Exported:
    """Write what serves `model` elsewhere.

    Parameters
    ----------
    target : {"annex-iv", "docker", "k8s"}
        The technical documentation of the EU's AI Act with the files that it cites; a Dockerfile and a compose file, with
        the bundle, mlwright's wheel and the requirements; or the manifests of a KServe InferenceService and of a
        Deployment with its Service and autoscaler.
    model : str or Path
        A registered model (``churn``, ``churn@challenger``, ``churn/3``) or a bundle's path. It must prove itself.
    folder : path, optional
        Where to; ``MODEL-TARGET`` here by default.
    image : str, optional
        The image's name; ``mlwright-MODEL:VERSION`` by default.
    force : bool, default=False
        Whether files that are there are replaced.
    store : path, optional
        The store, where the model is a registered one.

    Raises
    ------
    UsageError
        If the target or the image's name is none, the model is not there, or a file is there already.
    BundleError
        If the bundle does not prove itself.
    """
    if target not in TARGETS:
        raise UsageError("unknown target of an export", got=target, allowed=TARGETS)
    source, documents = bundle_at(model), {}
    if source is None:
        opened = find_store(named=store)
        resolved = resolve(opened, str(model))
        name, version, source = resolved.name, str(resolved.version), resolved.path
        documents = documentation(opened, resolved) if target == "annex-iv" else {}
    elif target == "annex-iv":
        raise UsageError(
            "the documentation is of a registered model: a bundle alone does not know its run",
            got=str(model),
            fix="name the model, as in churn or churn/3",
        )
    else:
        source = source.resolve()
        name, version = slug(source.name), "0"
    proven = verify(source)
    places = _places(name, version, image, proven["sha256"], source)
    made = documents or (_docker(source, places) if target == "docker" else _k8s(places))
    root = Path(folder or f"{places['slug']}-{target}")
    written = _write(root, made, source if target == "docker" else None, force=force)
    return Exported(target, name, version, proven["sha256"], places["image"], root, written)


def requirements(models: frozenset[str] | set[str]) -> list[str]:
    """Return what serving a bundle of these kinds of models imports, pinned as installed here, without its dependencies.

    Examples
    --------
    >>> [line.partition("==")[0] for line in requirements({"lightgbm", "linear"})]
    ['httptools', 'lightgbm', 'msgspec', 'numpy', 'uvloop']
    """
    names = sorted({*_NEEDED, "lightgbm"} if "lightgbm" in models else _NEEDED)
    return [f"{name}=={importlib.metadata.version(name)}" for name in names]


def pack_wheel() -> tuple[str, bytes]:
    """Return the name and the content of a wheel of the mlwright that runs; equal code gives equal bytes."""
    root, version = Path(mlwright.__file__).parent, mlwright.__version__
    kept = sorted(path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    parts = {f"mlwright/{path.relative_to(root).as_posix()}": path.read_bytes() for path in kept}
    info = f"mlwright-{version}.dist-info"
    parts[f"{info}/METADATA"] = (
        f"Metadata-Version: 2.1\nName: mlwright\nVersion: {version}\nRequires-Python: >=3.11\n".encode()
    )
    parts[f"{info}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: mlwright\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    parts[f"{info}/entry_points.txt"] = b"[console_scripts]\nmlwright = mlwright.cli:main\n"
    record = "".join(f"{name},sha256={_digest(part)},{len(part)}\n" for name, part in parts.items())
    parts[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, part in parts.items():
            entry = zipfile.ZipInfo(name, _DATED)
            entry.external_attr = 0o100644 << 16  # a plain file that all may read
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, part)
    return f"mlwright-{version}-py3-none-any.whl", file.getvalue()


def _digest(content: bytes) -> str:
    """Return a hash as a wheel's record has it."""
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def _places(name: str, version: str, image: str | None, sha256: str, source: Path) -> dict[str, Any]:
    """Return what stands in the places of the texts."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", name):
        raise UsageError(
            "the model's name cannot stand in the files", got=name, allowed="letters, digits, - _ ."
        )
    label = re.sub(r"[^a-z0-9]+", "-", name.lower())[:50].strip("-")
    label = label if label[:1].isalpha() else f"model-{label}".rstrip("-")
    image = image or f"mlwright-{label}:{version}"
    if not re.fullmatch(r"[a-z0-9][A-Za-z0-9_.:/@-]{0,254}", image):
        raise UsageError(
            "not an image's name", got=image, allowed="such as registry.example.org/team/churn:3"
        )
    size = sum(path.stat().st_size for path in source.rglob("*") if path.is_file())
    memory = _BASE_MIB + 256 * -(-size * _TIMES // 2**28)
    return {
        "name": name,
        "version": version,
        "sha256": sha256,
        "slug": label,
        "image": image,
        "memory": memory,
        "least": memory // 4,
    }


def _docker(source: Path, places: dict[str, Any]) -> dict[str, bytes]:
    models = set(read_json(source / "manifest.json")["kinds"]["models"])  # audited by now
    wheel, content = pack_wheel()
    pins = "\n".join(requirements(models))
    listed = texts.REQUIREMENTS.format(wheel=wheel, pins=pins, pyarrow=importlib.metadata.version("pyarrow"))
    more = {
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "libraries": texts.LIBGOMP if "lightgbm" in models else "",
        "wheel": wheel,
    }
    return {
        "Dockerfile": texts.DOCKERFILE.format(**places, **more).encode(),
        "compose.yaml": texts.COMPOSE.format(**places).encode(),
        "serve-requirements.txt": listed.encode(),
        wheel: content,
    }


def _k8s(places: dict[str, Any]) -> dict[str, bytes]:
    return {
        "deployment.yaml": texts.DEPLOYMENT.format(**places).encode(),
        "inferenceservice.yaml": texts.INFERENCE_SERVICE.format(**places).encode(),
    }


def _write(root: Path, made: dict[str, bytes], source: Path | None, *, force: bool) -> tuple[Path, ...]:
    """Write all of it, or nothing if something is in the way."""
    target = root / _BUNDLE
    names = [*made, *([] if source is None else [_BUNDLE])]
    there = [str(root / name) for name in names if (root / name).exists() or (root / name).is_symlink()]
    if there and not force:
        raise UsageError(
            "what would be written is there already", got=there, fix="name another folder by -o, or --force"
        )
    if source is not None:
        if target.is_symlink() or (target.exists() and not (target / "manifest.json").is_file()):
            raise UsageError("what is there is no bundle, so it is not replaced", got=str(target))
        if target.exists() and target.resolve() == source:
            raise UsageError(
                "the bundle would replace itself", got=str(source), fix="name another folder by -o"
            )
        if target.exists():
            shutil.rmtree(target)
        shutil.copytree(source, target)
        for path in (target, *target.rglob("*")):  # the image's user is another than who writes here
            path.chmod(0o755 if path.is_dir() else 0o644)
    for name, content in made.items():
        write_atomic(root / name, content)
        (root / name).chmod(0o644)
    return tuple(root / name for name in names)
