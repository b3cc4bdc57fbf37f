"""APDUs of the virtual card: every length, every chain, and whatever dice throw."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from yubikit.piv import DEFAULT_MANAGEMENT_KEY, KEY_TYPE, SLOT, PivSession

from tests.virtual_yubikey.apdu import LONGEST_COMMAND, Command, Refused, read_command
from tests.virtual_yubikey.card import VirtualYubiKey
from tests.virtual_yubikey.in_process import InProcessConnection
from tests.virtual_yubikey.piv import CHANGES_MEMORY
from tests.virtual_yubikey.tlv import MalformedTlv, read_tlvs, tlv, unwrap

SELECT_PIV = bytes.fromhex("00a4040005a000000308")
KNOWN = [0x20, 0x24, 0x2C, 0x47, 0x87, 0xA4, 0xC0, 0xCB, 0xDB, *range(0xF6, 0x100)]
PLACES = [0x00, 0x03, 0x07, 0x0A, 0x11, 0x3F, 0x80, 0x81, 0x82, 0x9A, 0x9B, 0x9C, 0xE0, 0xF9, 0xFF]
TAGS = [0x01, 0x02, 0x06, 0x07, 0x53, 0x5C, 0x70, 0x7C, 0x80, 0x81, 0x82, 0x85, 0x9B, 0xAA, 0xAC]

contents = st.recursive(
    st.binary(max_size=40),
    lambda inner: st.lists(st.tuples(st.sampled_from(TAGS), inner), max_size=3).map(
        lambda fields: b"".join(tlv(tag, content) for tag, content in fields)
    ),
    max_leaves=6,
)
plausible = st.builds(
    lambda header, data: bytes(header) + (bytes([len(data)]) + data if data else b""),
    st.tuples(
        st.sampled_from([0x00, 0x00, 0x10]),
        st.sampled_from(KNOWN),
        st.sampled_from(PLACES),
        st.sampled_from(PLACES),
    ),
    contents.filter(lambda data: len(data) < 256),
)


@pytest.fixture(scope="module")
def opened():
    """Give a card with a key of each quick type, open to management and PIN."""
    card = VirtualYubiKey()
    session = PivSession(InProcessConnection(card))
    session.authenticate(DEFAULT_MANAGEMENT_KEY)
    for slot, key_type in [
        (SLOT.AUTHENTICATION, KEY_TYPE.ECCP256),
        (SLOT.SIGNATURE, KEY_TYPE.ED25519),
        (SLOT.RETIRED1, KEY_TYPE.X25519),
    ]:
        session.generate_key(slot, key_type)
    session.verify_pin("123456")
    return card


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.binary(max_size=300) | plausible, max_size=8))
def test_no_apdu_crashes_the_card(opened, apdus):
    """Two octets of status come always; RSA is left out, for it takes long."""
    rsa = [bytes([0x80, 1, number]) for number in (5, 6, 7, 0x16)]
    for apdu in apdus:
        if any(asked in apdu for asked in rsa):
            continue
        answer = opened.process(apdu)
        assert len(answer) >= 2
        assert 0x61 <= answer[-2] <= 0x90


@settings(max_examples=200, deadline=None)
@given(st.lists(plausible, max_size=20))
def test_only_instructions_that_say_so_change_the_memory(opened, tmp_path_factory, apdus):
    """What is saved to a file is all that there is to save."""
    folder = tmp_path_factory.mktemp("memory")
    for apdu in apdus:
        if apdu[1] in CHANGES_MEMORY:
            continue
        opened.memory.save(folder / "before")
        opened.process(apdu)
        opened.memory.save(folder / "after")
        assert (folder / "before").read_text() == (folder / "after").read_text()


@given(
    header=st.tuples(*[st.integers(0, 255)] * 4),
    data=st.binary(max_size=600),
    most=st.integers(1, 65536),
)
def test_every_form_of_an_apdu_is_read(header, data, most):
    """Short where it fits, and extended."""
    extended = bytes(header)
    if data:
        extended += b"\0" + len(data).to_bytes(2, "big") + data
    else:
        extended += b"\0"
    extended += (most % 65536).to_bytes(2, "big")

    assert Command(*header, data, most) == read_command(extended)
    if len(data) < 256 and most <= 256:
        short = bytes(header) + (bytes([len(data)]) + data if data else b"") + bytes([most % 256])
        assert Command(*header, data, most) == read_command(short)


@pytest.mark.parametrize(
    "apdu",
    [
        "",
        "00a404",
        "00a404000200",
        "00a40400020000ffff",
        "00a404000000",
        "00a4040000000201",
        "00a404000000020102ff",
    ],
)
def test_lengths_that_do_not_add_up_are_refused(apdu):
    """6700."""
    with pytest.raises(Refused) as refused:
        read_command(bytes.fromhex(apdu))

    assert 0x6700 == refused.value.status
    assert b"\x67\x00" == VirtualYubiKey().process(bytes.fromhex(apdu))


def test_a_chain_is_one_command():
    """The links but the last are answered with 9000 and do nothing."""
    card = VirtualYubiKey()

    links = [
        card.process(bytes.fromhex("10a4040003a00000")),
        card.process(bytes.fromhex("00a40400020308")),
    ]

    assert b"\x90\x00" == links[0]
    assert b"\x61" == links[1][:1]


def test_a_chain_that_another_command_breaks_is_forgotten():
    """Its beginning is not glued to a later end."""
    card = VirtualYubiKey()
    card.process(bytes.fromhex("10a4040003a00000"))
    card.process(bytes.fromhex("00fd0000"))

    assert b"\x6a\x82" == card.process(bytes.fromhex("00a40400020308"))


def test_a_chain_ends_where_the_buffer_does():
    """6700, and the next command starts afresh."""
    card = VirtualYubiKey()
    link = bytes.fromhex("10db3fffff") + bytes(255)

    answers = [card.process(link) for _ in range(LONGEST_COMMAND // 255 + 1)]

    assert b"\x67\x00" == answers[-1]
    assert {b"\x90\x00"} == set(answers[:-1])
    assert b"\x90\x00" == card.process(SELECT_PIV)[-2:]


@pytest.mark.parametrize("cla", [0x04, 0x80, 0xFF])
def test_other_classes_are_refused(cla):
    """6E00; secure messaging is not emulated."""
    assert b"\x6e\x00" == VirtualYubiKey().process(bytes([cla]) + SELECT_PIV[1:])


@given(st.sampled_from([*TAGS, 0x7F49, 0x5F2F]), st.binary(max_size=70000))
def test_what_is_wrapped_is_unwrapped(tag, content):
    """Lengths of one to three octets."""
    assert content == unwrap(tag, tlv(tag, content))


@given(st.binary(max_size=100))
def test_octets_are_tlvs_or_malformed(octets):
    """Nothing else is raised, and what is read is all of it."""
    try:
        fields = list(read_tlvs(octets))
    except MalformedTlv:
        return
    assert len(octets) >= sum(len(content) for _, content in fields)
