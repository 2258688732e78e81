"""Signatures of exports: of the right bytes, by the right key."""

from __future__ import annotations

import pytest

from contracts.manifests import ExportSignature
from services.runtime.signing import SignatureRefused, check, public_key_of, sign

# Test 2 of RFC 8032, section 7.1.
SECRET = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"
PUBLIC = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
SIGNED = (
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)


def test_a_signature_is_that_of_the_standard() -> None:
    made = sign(b"\x72", SECRET)
    assert (made.algorithm, made.public_key, made.signature) == ("ed25519", PUBLIC, SIGNED)
    assert public_key_of(SECRET) == PUBLIC
    check(b"\x72", made, PUBLIC)


def test_other_bytes_and_other_keys_are_refused() -> None:
    made = sign(b"model", SECRET)
    other = public_key_of("11" * 32)
    with pytest.raises(SignatureRefused, match="not of these 6 bytes"):
        check(b"model!", made, PUBLIC)
    with pytest.raises(SignatureRefused, match=f"by the key {other}; it names the key {PUBLIC}"):
        check(b"model", made, other)
    # Naming the expected key in the file does not help.
    forged = ExportSignature(public_key=PUBLIC, signature=sign(b"model", "11" * 32).signature)
    with pytest.raises(SignatureRefused):
        check(b"model", forged, PUBLIC)


@pytest.mark.parametrize("key", ["", "abc", "zz" * 32, "11" * 31, "11" * 33])
def test_what_is_no_key_is_refused_without_repeating_it(key: str) -> None:
    with pytest.raises(SignatureRefused, match="64 hexadecimal digits") as refused:
        sign(b"model", key)
    assert not key or key not in str(refused.value)
