"""A code of an enrolment has one form: whoever copies it wrongly is told so."""

import string

import pytest

from hsm_agent.wire.enrollment_code import PIN_OCTETS, TOKEN_OCTETS, EnrollmentCode
from hsm_agent.wire.errors import WireError

CHARACTERS = string.ascii_letters + string.digits + "-_"


@pytest.mark.parametrize("agent", ["v", "va", "vau"])
def test_no_other_last_character_will_do(agent):
    """Of every length, also where some bits of the last character stand for nothing."""
    token, pin, key = bytes(TOKEN_OCTETS), bytes(PIN_OCTETS), bytes(32)
    code = EnrollmentCode(agent, token, ("127.0.0.1:8444",), (pin,), (key,))
    text = code.text()
    assert code == EnrollmentCode.read(f" {text}\n".lstrip())

    for other in CHARACTERS.replace(text[-1], ""):
        with pytest.raises(WireError, match="cut or altered"):
            EnrollmentCode.read(text[:-1] + other)
