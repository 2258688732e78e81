"""Ed25519 signatures (RFC 8032) of files that leave the house: who holds the public key can tell ours.

PyCryptodome does the mathematics: the client of the object store brings it along anyway.
"""

from __future__ import annotations

from Crypto.PublicKey.ECC import EccKey
from Crypto.Signature import eddsa

from contracts.manifests import ExportSignature

KEY_BYTES = 32
MODE = "rfc8032"


class SignatureRefused(Exception):
    """Not signed by the key that was expected, or changed since; or a key is no key."""


def public_key_of(signing_key: str) -> str:
    """Hexadecimal public key of a signing key: 64 hexadecimal digits, as of `openssl rand -hex 32`.

    Raises:
        SignatureRefused: it is no such key.
    """
    return _raw(_private(signing_key).public_key()).hex()


def sign(data: bytes, signing_key: str) -> ExportSignature:
    """The signature of exactly these bytes; the same key and bytes give the same one.

    Raises:
        SignatureRefused: the key is no key.
    """
    private = _private(signing_key)
    signature = eddsa.new(private, MODE).sign(data)
    return ExportSignature(public_key=_raw(private.public_key()).hex(), signature=signature.hex())


def check(data: bytes, signature: ExportSignature, public_key: str) -> None:
    """That the owner of ``public_key`` signed ``data``; the key that ``signature`` names decides nothing.

    Raises:
        SignatureRefused: it was not.
    """
    try:
        key = eddsa.import_public_key(_bytes(public_key))
        eddsa.new(key, MODE).verify(data, bytes.fromhex(signature.signature))
    except ValueError as error:
        by = "" if signature.public_key == public_key else f"; it names the key {signature.public_key}"
        raise SignatureRefused(
            f"the signature is not of these {len(data)} bytes by the key {public_key}{by}: fetch the export "
            "again from its source, or check against the public key of who made it"
        ) from error


def _private(signing_key: str) -> EccKey:
    return eddsa.import_private_key(_bytes(signing_key))


def _raw(key: EccKey) -> bytes:
    exported = key.export_key(format="raw")
    assert isinstance(exported, bytes)
    return exported


def _bytes(key: str) -> bytes:
    try:
        data = bytes.fromhex(key)
    except ValueError:
        data = b""
    if len(data) != KEY_BYTES:
        # The text is not repeated: it may be a secret.
        raise SignatureRefused(
            f"a key has {2 * KEY_BYTES} hexadecimal digits, this has {len(key)} characters: "
            "make a signing key by `openssl rand -hex 32`"
        )
    return data
