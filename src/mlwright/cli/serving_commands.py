"""The commands of serving: serve a model, stop its answers, let it answer again."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from mlwright.cli import show
from mlwright.core.errors import UsageError

if TYPE_CHECKING:
    from mlwright.serving.switch import Switch

__all__ = ["serve", "start", "stop"]


def serve(options: argparse.Namespace) -> int:
    """``mlwright serve``. Loads nothing of training: the registry is read without MLflow where it is SQLite."""
    from mlwright.lifecycle.project import FILE, Project, load_project
    from mlwright.serving.live import Find, Found
    from mlwright.serving.server import Options
    from mlwright.serving.server import serve as serve_bundle
    from mlwright.serving.service import Rollout
    from mlwright.tracking.registry import bundle_at, load_plan, resolve
    from mlwright.tracking.store import find_store
    from mlwright.tracking.watch import AliasWatch

    project, log, root = Project(), None, None
    find: Find | None = None
    folder = Path(options.model)
    here = load_project(folder) if (folder / FILE).is_file() else None
    bundle = None if here else bundle_at(options.model)
    if options.known_as is not None and bundle is None:
        raise UsageError(
            "--as names the bundle at a path; a registered model has its name", got=options.model
        )
    if bundle is not None:
        name, version = _known_as(options.known_as or bundle.resolve().name)
    else:
        store = find_store(named=options.store)
        selector = options.model if here is None else here.name
        resolved = resolve(store, selector)
        project = here or Project.from_json(load_plan(store, resolved.run_id)["project"])
        name, version, bundle = resolved.name, str(resolved.version), resolved.path
        log = store.log if project.serve_log and not options.no_log else None
        root = store.root
        if "/" not in selector:  # a version that was named stays; an alias is followed
            watch, served = AliasWatch(store, name), selector.partition("@")[2] or "champion"

            def find(role: str) -> Found | None:
                found = watch.find(served if role == "champion" else role)
                return None if found is None else Found(str(found.version), found.path)

    serve_bundle(
        bundle,
        host=options.host or project.serve_host,
        port=project.serve_port if options.port is None else options.port,
        name=name,
        version=version,
        log_directory=log,
        options=Options(
            workers=options.workers,
            auth=options.auth,
            certificate=options.ssl_certfile,
            key=options.ssl_keyfile,
            client_authorities=options.ssl_ca_certs,
            store=root,
            find=find,
            fallback=project.serve_fallback,
            rollout=Rollout(project.serve_canary, shadow=project.serve_shadow is not None),
            on_token=show.token,
        ),
        on_ready=lambda address: show.serving(address, name, version, options.json),
    )
    show.stopped()
    return 0


def _known_as(text: str) -> tuple[str, str]:
    """Return the name and the version that answers of the bundle at a path carry."""
    name, _, version = text.partition("/")
    if not name or "/" in version or not text.isprintable():
        raise UsageError("not a name to serve under", got=text, allowed="NAME or NAME/VERSION")
    return name, version or "0"


def stop(options: argparse.Namespace) -> int:
    """``mlwright stop``."""
    did = _switch(options).stop()
    text = "its fallback answers now" if did else "it was stopped already"
    show.plain(options, {"model": options.model, "stopped": True, "changed": did}, f"{options.model}: {text}")
    return 0


def start(options: argparse.Namespace) -> int:
    """``mlwright start``."""
    did = _switch(options).start()
    text = "it answers again" if did else "it was not stopped"
    show.plain(
        options, {"model": options.model, "stopped": False, "changed": did}, f"{options.model}: {text}"
    )
    return 0


def _switch(options: argparse.Namespace) -> Switch:
    from mlwright.serving.switch import Switch
    from mlwright.tracking.registry import resolve
    from mlwright.tracking.store import find_store

    store = find_store(named=options.store)
    resolve(store, options.model)  # a name that is not there is an error, not a switch for nothing
    return Switch(store.root, options.model)
