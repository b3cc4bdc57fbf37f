"""The functions of libcrypto that we call, by ctypes; standard library only."""

import ctypes
from collections.abc import Callable, Mapping
from ctypes import POINTER, c_char_p, c_int, c_size_t, c_ulong, c_void_p

from pikaserver_openssl.engine import EngineFault

_ADDRESS = POINTER(c_void_p)
_LENGTH = POINTER(c_size_t)
_TEXT_OCTETS = 256

_FUNCTIONS: Mapping[str, tuple[type | None, tuple[type, ...]]] = {
    "OpenSSL_version": (c_char_p, (c_int,)),
    "OSSL_LIB_CTX_new": (c_void_p, ()),
    "OSSL_LIB_CTX_free": (None, (c_void_p,)),
    "OSSL_PROVIDER_set_default_search_path": (c_int, (c_void_p, c_char_p)),
    "OSSL_PROVIDER_load": (c_void_p, (c_void_p, c_char_p)),
    "OSSL_PROVIDER_unload": (c_int, (c_void_p,)),
    "OSSL_PROVIDER_get0_name": (c_char_p, (c_void_p,)),
    "EVP_SIGNATURE_fetch": (c_void_p, (c_void_p, c_char_p, c_char_p)),
    "EVP_SIGNATURE_get0_provider": (c_void_p, (c_void_p,)),
    "EVP_SIGNATURE_free": (None, (c_void_p,)),
    "EVP_PKEY_CTX_new_from_name": (c_void_p, (c_void_p, c_char_p, c_char_p)),
    "EVP_PKEY_CTX_free": (None, (c_void_p,)),
    "EVP_PKEY_CTX_ctrl_str": (c_int, (c_void_p, c_char_p, c_char_p)),
    "EVP_PKEY_CTX_settable_params": (c_void_p, (c_void_p,)),
    "EVP_PKEY_keygen_init": (c_int, (c_void_p,)),
    "EVP_PKEY_generate": (c_int, (c_void_p, _ADDRESS)),
    "EVP_PKEY_free": (None, (c_void_p,)),
    "OSSL_PARAM_locate_const": (c_void_p, (c_void_p, c_char_p)),
    "OSSL_DECODER_CTX_new_for_pkey": (
        c_void_p,
        (_ADDRESS, c_char_p, c_char_p, c_char_p, c_int, c_void_p, c_char_p),
    ),
    "OSSL_DECODER_from_data": (c_int, (c_void_p, _ADDRESS, _LENGTH)),
    "OSSL_DECODER_CTX_free": (None, (c_void_p,)),
    "OSSL_ENCODER_CTX_new_for_pkey": (
        c_void_p,
        (c_void_p, c_int, c_char_p, c_char_p, c_char_p),
    ),
    "OSSL_ENCODER_to_data": (c_int, (c_void_p, _ADDRESS, _LENGTH)),
    "OSSL_ENCODER_CTX_free": (None, (c_void_p,)),
    "CRYPTO_clear_free": (None, (c_void_p, c_size_t, c_char_p, c_int)),
    "OPENSSL_cleanse": (None, (c_void_p, c_size_t)),
    "EVP_MD_CTX_new": (c_void_p, ()),
    "EVP_MD_CTX_free": (None, (c_void_p,)),
    "EVP_DigestSignInit_ex": (
        c_int,
        (c_void_p, _ADDRESS, c_char_p, c_void_p, c_char_p, c_void_p, c_void_p),
    ),
    "EVP_DigestSign": (c_int, (c_void_p, c_void_p, _LENGTH, c_char_p, c_size_t)),
    "ERR_get_error": (c_ulong, ()),
    "ERR_error_string_n": (None, (c_ulong, c_char_p, c_size_t)),
    "ERR_clear_error": (None, ()),
}


class Library:
    """A libcrypto whose functions are there and have their types declared."""

    def __init__(self, path: str) -> None:
        try:
            loaded = ctypes.CDLL(path)
        except OSError as error:
            raise EngineFault(f"{path} cannot be loaded: {error}") from None
        self._functions: dict[str, Callable[..., object]] = {}
        for name, (result, arguments) in _FUNCTIONS.items():
            try:
                function = getattr(loaded, name)
            except AttributeError:
                raise EngineFault(f"{path} is no OpenSSL 3: it has no {name}") from None
            function.restype, function.argtypes = result, arguments
            self._functions[name] = function

    def text(self, name: str, *arguments: object) -> str:
        """Call a function that returns a string."""
        found = self._functions[name](*arguments)
        return found.decode("utf-8", "replace") if isinstance(found, bytes) else ""

    def run(self, name: str, *arguments: object) -> None:
        """Call a function that cannot fail."""
        self._functions[name](*arguments)

    def asked(self, name: str, *arguments: object) -> int | None:
        """Call a function whose pointer may be NULL; what it complains about is forgotten."""
        found = self._functions[name](*arguments)
        self.run("ERR_clear_error")
        return found if isinstance(found, int) else None

    def pointer(self, name: str, *arguments: object) -> int:
        """Call a function that returns a pointer.

        Raises:
            EngineFault: it is NULL; the text is what OpenSSL's queue of errors holds.
        """
        found = self._functions[name](*arguments)
        if not isinstance(found, int):
            raise self._fault(name)
        return found

    def must(self, name: str, *arguments: object) -> None:
        """Call a function that returns 1 when all went well.

        Raises:
            EngineFault: it does not.
        """
        if self._functions[name](*arguments) != 1:
            raise self._fault(name)

    def _fault(self, name: str) -> EngineFault:
        # The queue is this thread's own; it is emptied, for nobody else shall read of it.
        lines = []
        while code := self._functions["ERR_get_error"]():
            buffer = ctypes.create_string_buffer(_TEXT_OCTETS)
            self.run("ERR_error_string_n", code, buffer, _TEXT_OCTETS)
            lines.append(buffer.value.decode("utf-8", "replace"))
        return EngineFault(f"{name} failed: {'; '.join(lines) or 'OpenSSL does not say why'}")
