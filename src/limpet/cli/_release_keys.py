"""`limpet release key`: the keys of one person, in files or in tokens.

Owns options and printing. Never prints or takes a secret.
"""

from pathlib import Path

import msgspec
import typer

from limpet.cli._frame import emit, make_app, show_examples
from limpet.cli._secrets import ask_new_passphrase, secret_from
from limpet.crypto.token_keys import is_token_uri
from limpet.release import fingerprint, make_key, open_signer, public_pem, roles_naming
from limpet.release import load_public_key as load_public
from limpet.storage import write_atomic

__all__ = ["app"]

app = make_app(
    "A signer's own keys.",
    examples=["limpet release key new mine.pem --passphrase"],
)

_place = typer.Argument(..., metavar="KEY", help="A file, or pkcs11:token=…;object=…")
_json = typer.Option(False, "--json", help="Print JSON.")
_scheme = typer.Option("ed25519", help="ed25519, or ml-dsa-65/1 (a file only).")
_passphrase_env = typer.Option(None, help="Take the passphrase from this variable, do not ask.")
_pin_env = typer.Option(None, help="Take a token's PIN from this variable, do not ask.")


class KeyShown(msgspec.Struct, frozen=True, kw_only=True):
    """A key, as `--json` gives it."""

    key: str
    scheme: str
    id: str
    public: str  # the file with its public half, if one was written
    roles: tuple[str, ...]  # that name it, in the repository that was asked


@app.command(
    epilog=show_examples(
        "limpet release key new mine.pem --passphrase",
        "limpet release key new mine-pq.pem --scheme ml-dsa-65/1 --passphrase",
        "limpet release key new 'pkcs11:token=signer;object=root?module-path=/usr/lib/x.so'",
    )
)
def new(
    key: str = _place,
    scheme: str = _scheme,
    passphrase: bool = typer.Option(
        True, "--passphrase/--unsafe-no-passphrase", help="Seal a file with a passphrase."
    ),
    passphrase_env: str | None = _passphrase_env,
    pin_env: str | None = _pin_env,
    public: Path | None = typer.Option(None, help="Write the public half here; default beside."),
    json: bool = _json,
) -> None:
    """Make a key: in a file under a passphrase, or in a token that never lets it out."""
    secret = None
    if passphrase and not is_token_uri(key):
        secret = ask_new_passphrase(passphrase_env, Path(key).name)
    pin = secret_from(pin_env, what="PIN", option="--pin-env")
    made = make_key(key, scheme, passphrase=secret, pin=pin, public=public)
    shown = KeyShown(
        key=key, scheme=made.key.scheme, id=made.key.keyid, public=str(made.public or ""), roles=()
    )
    emit(shown, json=json, human=_print_key)


@app.command(
    epilog=show_examples(
        "limpet release key show mine.pub.pem --repository vendor/public/repository",
        "limpet release key show 'pkcs11:token=signer;object=root?module-path=/usr/lib/x.so'",
    )
)
def show(
    key: str = _place,
    repository: Path | None = typer.Option(None, help="Say which of its roles name the key."),
    public: Path | None = typer.Option(None, help="Write the public half here."),
    passphrase_env: str | None = _passphrase_env,
    pin_env: str | None = _pin_env,
    json: bool = _json,
) -> None:
    """A key's id, which people compare by telephone, and the roles that name it."""
    if not is_token_uri(key) and b"PUBLIC KEY" in Path(key).read_bytes()[:64]:
        found = load_public(Path(key))
    else:
        signer = open_signer(
            key,
            passphrase=secret_from(passphrase_env, what="passphrase", option="--passphrase-env"),
            pin=secret_from(pin_env, what="PIN", option="--pin-env"),
            suite=None,
        )
        found = signer.public_key  # type: ignore[assignment]
    if public is not None:
        write_atomic(public, public_pem(found), mode=0o644)
    shown = KeyShown(
        key=key,
        scheme=found.scheme,
        id=found.keyid,
        public=str(public or ""),
        roles=roles_naming(found.keyid, repository) if repository is not None else (),
    )
    emit(shown, json=json, human=_print_key)


def _print_key(shown: KeyShown) -> None:
    words = fingerprint(shown.id).split()
    print(f"{shown.key}: {shown.scheme}")
    print(f"  id      {' '.join(words[:8])}")
    print(f"          {' '.join(words[8:])}")
    if shown.public:
        print(f"  public  {shown.public}")
    if shown.roles:
        print(f"  signs   {', '.join(shown.roles)}")
