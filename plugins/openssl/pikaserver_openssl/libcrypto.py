"""The engine ``libcrypto``: OpenSSL inside this process; standard library only."""

import ctypes
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from ctypes import c_char_p, c_int, c_size_t, c_uint, c_void_p
from types import MappingProxyType

from pikaserver_openssl.engine import KINDS, EngineFault, Way
from pikaserver_openssl.library import Library

_KEY_PAIR = 0x87
_PUBLIC_KEY = 0x86
_INTEGER = 1
_MU = b"mu"


class _Parameter(ctypes.Structure):
    """``OSSL_PARAM``."""

    _fields_ = (
        ("key", c_char_p),
        ("data_type", c_uint),
        ("data", c_void_p),
        ("data_size", c_size_t),
        ("return_size", c_size_t),
    )


class LibcryptoEngine:
    """Implements ``Engine`` over a library context of its own.

    No configuration file is read, and neither ``ssl`` nor ``cryptography`` sees what is loaded
    here.
    """

    def __init__(
        self, path: str, providers: Sequence[str], module_directory: str | None = None
    ) -> None:
        self._library = library = Library(path)
        self._context = library.pointer("OSSL_LIB_CTX_new")
        if module_directory is not None:
            name = "OSSL_PROVIDER_set_default_search_path"
            library.must(name, self._context, module_directory.encode())
        for provider in providers:
            try:
                library.pointer("OSSL_PROVIDER_load", self._context, provider.encode())
            except EngineFault as fault:
                raise EngineFault(f"the provider {provider!r} cannot be loaded: {fault}") from None
        self._offered = MappingProxyType(dict(self._probe()))
        self.title = f"libcrypto, {library.text('OpenSSL_version', 0)}"

    @property
    def offered(self) -> Mapping[str, str]:
        """See ``Engine``."""
        return self._offered

    def generate(self, key_type: str) -> bytes:
        """See ``Engine``."""
        library, kind = self._library, KINDS[key_type]
        made = c_void_p()
        context = library.pointer(
            "EVP_PKEY_CTX_new_from_name", self._context, kind.name.encode(), None
        )
        try:
            library.must("EVP_PKEY_keygen_init", context)
            for name, value in kind.options.items():
                library.must("EVP_PKEY_CTX_ctrl_str", context, name.encode(), value.encode())
            library.must("EVP_PKEY_generate", context, ctypes.byref(made))
        finally:
            library.run("EVP_PKEY_CTX_free", context)
        return self._key(made).encoded(_KEY_PAIR, b"PrivateKeyInfo")

    def open(self, pkcs8: bytes) -> "LibcryptoKey":
        """See ``Engine``."""
        library, found = self._library, c_void_p()
        decoder = library.pointer(
            *("OSSL_DECODER_CTX_new_for_pkey", ctypes.byref(found), b"DER", b"PrivateKeyInfo"),
            *(None, _KEY_PAIR, self._context, None),
        )
        buffer = ctypes.create_string_buffer(pkcs8, len(pkcs8))
        at, left = c_void_p(ctypes.addressof(buffer)), c_size_t(len(pkcs8))
        try:
            library.must("OSSL_DECODER_from_data", decoder, ctypes.byref(at), ctypes.byref(left))
        finally:
            library.run("OPENSSL_cleanse", buffer, len(pkcs8))
            library.run("OSSL_DECODER_CTX_free", decoder)
        return self._key(found)

    def _key(self, handle: c_void_p) -> "LibcryptoKey":
        if handle.value is None:
            raise EngineFault("OpenSSL gave no key")
        return LibcryptoKey(self._library, self._context, handle.value)

    def _probe(self) -> Iterator[tuple[str, str]]:
        library = self._library
        for key_type, kind in KINDS.items():
            name = kind.signature.encode()
            found = library.asked("EVP_SIGNATURE_fetch", self._context, name, None)
            if found is not None:
                provider = library.asked("EVP_SIGNATURE_get0_provider", found)
                yield key_type, library.text("OSSL_PROVIDER_get0_name", provider)
                library.run("EVP_SIGNATURE_free", found)


class LibcryptoKey:
    """Implements ``OpenedKey``; threads may share one, for each signature has its own context."""

    def __init__(self, library: Library, context: int, handle: int) -> None:
        self._library = library
        self._context = context
        self._handle = handle
        weakref.finalize(self, library.run, "EVP_PKEY_free", handle)
        self.public_key = self.encoded(_PUBLIC_KEY, b"SubjectPublicKeyInfo")
        self.takes_mu = self._knows_mu()

    def sign(self, message: bytes, way: Way) -> bytes:
        """See ``OpenedKey``."""
        digest = way.digest.encode() if way.digest else None
        with self._started(digest) as (state, settings):
            for name, value in way.options.items():
                self._library.must("EVP_PKEY_CTX_ctrl_str", settings, name.encode(), value.encode())
            return self._signature(state, message)

    def sign_mu(self, mu: bytes) -> bytes:
        """See ``OpenedKey``; where the parameter is not known it would be passed over."""
        if not self.takes_mu:
            raise EngineFault("this provider does not sign mu")
        yes = c_int(1)
        place = ctypes.cast(ctypes.pointer(yes), c_void_p)
        parameters = (_Parameter * 2)(
            _Parameter(_MU, _INTEGER, place, ctypes.sizeof(yes), 0), _Parameter()
        )
        with self._started(None, ctypes.cast(parameters, c_void_p)) as (state, _):
            return self._signature(state, mu)

    def encoded(self, selection: int, structure: bytes) -> bytes:
        """Return the key, or its public half, in DER.

        Raises:
            EngineFault: the provider does not write it.
        """
        library, at, length = self._library, c_void_p(), c_size_t()
        name = "OSSL_ENCODER_CTX_new_for_pkey"
        encoder = library.pointer(name, self._handle, selection, b"DER", structure, None)
        try:
            library.must("OSSL_ENCODER_to_data", encoder, ctypes.byref(at), ctypes.byref(length))
            return ctypes.string_at(at.value or 0, length.value)
        finally:
            library.run("CRYPTO_clear_free", at, length.value, b"", 0)
            library.run("OSSL_ENCODER_CTX_free", encoder)

    def _knows_mu(self) -> bool:
        try:
            with self._started(None) as (_, settings):
                known = self._library.asked("EVP_PKEY_CTX_settable_params", settings)
                return self._library.asked("OSSL_PARAM_locate_const", known, _MU) is not None
        except EngineFault:
            return False

    @contextmanager
    def _started(
        self, digest: bytes | None, parameters: c_void_p | None = None
    ) -> Iterator[tuple[int, c_void_p]]:
        library, settings = self._library, c_void_p()
        state = library.pointer("EVP_MD_CTX_new")
        try:
            library.must(
                *("EVP_DigestSignInit_ex", state, ctypes.byref(settings), digest),
                *(self._context, None, self._handle, parameters),
            )
            yield state, settings
        finally:
            library.run("EVP_MD_CTX_free", state)

    def _signature(self, state: int, message: bytes) -> bytes:
        library, length = self._library, c_size_t()
        library.must("EVP_DigestSign", state, None, ctypes.byref(length), message, len(message))
        buffer = ctypes.create_string_buffer(length.value)
        library.must("EVP_DigestSign", state, buffer, ctypes.byref(length), message, len(message))
        return buffer.raw[: length.value]
