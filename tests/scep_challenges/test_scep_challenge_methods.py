"""One-time challenges, passphrases, approval, lists of addresses, and the limits on guessing."""

from contextlib import suppress
from datetime import timedelta

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pikaserver.api.errors import (
    Conflict,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    RequestRejected,
    TooManyRequests,
)
from pikaserver.api.issuance import Issued, Pending
from pikaserver_scep.challenges.addresses import AddressList, guesser
from pikaserver_scep.challenges.settings import ChallengeSettings
from pikaserver_scep.challenges.static import Passphrases
from pikaserver_scep.challenges.tables import challenge, passphrase
from tests.scep_challenges.house import House, make_csr


def stored(house, table):
    with house.server.database.reading() as connection:
        return repr(connection.execute(table.select()).all())


def test_a_one_time_challenge_buys_one_certificate(house):
    """The second request with it is refused, and nothing is issued."""
    secret = house.challenge()
    first = house.enroll(house.question(make_csr(password=secret)))

    with pytest.raises(NotAuthenticated, match="used up"):
        house.enroll(house.question(make_csr(password=secret), transaction="t-2"))

    assert isinstance(first, Issued)
    assert 1 == len(house.server.certificates.records)


def test_its_clear_text_is_nowhere_in_the_database_or_the_trail(house):
    """Only its hash is kept, and nothing shows it by accident."""
    secret = house.challenge()

    assert secret not in stored(house, challenge)
    assert secret not in repr(house.server.audit.lines)
    assert 32 == len(secret)


def test_a_challenge_ends_in_time(house):
    """Who comes later has to ask for another one."""
    secret = house.challenge(lifetime=timedelta(minutes=5))
    house.clock.advance(timedelta(minutes=5))

    with pytest.raises(NotAuthenticated):
        house.enroll(house.question(make_csr(password=secret)))

    assert not house.server.certificates.records


def test_a_challenge_of_another_template_is_refused(house):
    """It was made for the rules of one."""
    secret = house.challenge("laptop")

    with pytest.raises(NotAuthenticated, match="not for template 'device'"):
        house.ask(secret)


def test_a_bound_challenge_is_good_for_its_name_only(house):
    """Whoever finds it can at most become whom it was made for."""
    secret = house.challenge(common_name="plc-21")

    with pytest.raises(NotAuthenticated, match="'plc-21' only"):
        house.enroll(house.question(make_csr("boss", secret)))
    accepted = house.desk.check(house.question(make_csr("plc-21", secret)))

    assert "plc-21" == accepted.requester.common_name
    assert frozenset({"device"}) == accepted.requester.templates
    assert not house.server.certificates.records


def test_a_withdrawn_challenge_is_worthless(house):
    """An operator changes his mind before the device comes."""
    secret = house.challenge()
    (row,) = house.one_time.list()
    house.one_time.withdraw(row.id, "test")

    with pytest.raises(NotAuthenticated):
        house.enroll(house.question(make_csr(password=secret)))
    with pytest.raises(NotFound):
        house.one_time.withdraw(row.id, "test")


def test_a_challenge_that_was_not_used_comes_back(house):
    """The key could not sign: the device tries again with the same challenge."""
    accepted = house.ask(house.challenge())
    with house.server.database.transaction() as connection:
        accepted.requester.proof.spend(connection)
        accepted.requester.proof.restore(connection)
        accepted.requester.proof.spend(connection)
        with pytest.raises(NotAuthenticated):
            accepted.requester.proof.spend(connection)


@pytest.mark.parametrize(
    "wish", [{"uses": 0}, {"lifetime": timedelta(0)}, {"lifetime": timedelta(days=400)}]
)
def test_absurd_challenges_are_not_made(house, wish):
    """Neither forever nor for nothing."""
    with pytest.raises(RequestRejected):
        house.challenge(**wish)


def test_a_passphrase_is_good_for_all_devices_until_it_is_withdrawn(house):
    """It is shown once, kept as a hash, and two count while devices change over."""
    passphrases = Passphrases(house.server)
    old, new = (passphrases.create("device", "test") for _ in range(2))

    first = house.ask(old.passphrase)
    house.ask(new.passphrase, transaction="t-2")
    passphrases.withdraw(old.id, "test")

    assert ("static", None) == (first.method, first.requester.proof)
    assert old.passphrase not in stored(house, passphrase)
    with pytest.raises(NotAuthenticated):
        house.ask(old.passphrase)
    house.ask(new.passphrase)


def test_a_chosen_passphrase_is_hashed_slowly(house):
    """People choose what can be guessed, so each guess costs 64 MiB."""
    passphrases = Passphrases(house.server)
    passphrases.create("device", "test", "correct horse")

    house.ask("correct horse")

    with pytest.raises(NotAuthenticated):
        house.ask("correct mule")
    with pytest.raises(NotAuthenticated):
        house.ask("correct horse", "laptop")
    with pytest.raises(RequestRejected, match="at least 8"):
        passphrases.create("device", "test", "short")


def test_a_template_has_a_handful_of_passphrases(house):
    """Each one costs a guess its hash."""
    passphrases = Passphrases(house.server)
    for _ in range(5):
        passphrases.create("device", "test")

    with pytest.raises(Conflict):
        passphrases.create("device", "test")


def test_without_a_password_nobody_gets_in(house):
    """Unless the template says that a person decides."""
    with pytest.raises(NotAuthenticated, match="no challenge password"):
        house.ask(None)


def test_where_a_person_decides_a_device_without_a_password_waits():
    """Approval is asked for, though the template does not; a wrong password stays wrong."""
    house = House(templates={"device": {"methods": ["one-time", "manual"]}})
    question = house.question(make_csr())

    waiting = house.enroll(question)
    house.server.approve(waiting.request_id)
    issued = house.enroll(question)

    assert isinstance(waiting, Pending)
    assert isinstance(issued, Issued)
    with pytest.raises(NotAuthenticated):
        house.ask("guess")


def test_methods_count_where_the_template_names_them():
    """A one-time challenge says nothing where only passphrases are taken."""
    house = House(templates={"device": {"methods": ["static"]}})

    with pytest.raises(NotAuthenticated):
        house.ask(house.challenge())


def test_guessing_locks_the_address_for_this_template(house):
    """The twentieth wrong password costs a minute; others go on."""
    for _ in range(20):
        with pytest.raises(NotAuthenticated):
            house.ask("guess")

    with pytest.raises(TooManyRequests) as refused:
        house.ask(house.challenge())

    assert 60 == refused.value.retry_after
    house.ask(house.challenge("laptop"), "laptop")
    house.ask(house.challenge(), address="198.51.100.1")
    house.clock.advance(timedelta(minutes=1))
    house.ask(house.challenge())


def test_a_spent_challenge_does_not_buy_further_guesses(house):
    """It tells who asks, and that is all; a certificate does."""
    spent = house.challenge()
    house.enroll(house.question(make_csr(password=spent)))
    for _ in range(20):
        with pytest.raises(NotAuthenticated):
            house.ask("guess")
        house.clock.advance(timedelta(seconds=1))
        with suppress(TooManyRequests, NotAuthenticated):
            house.enroll(house.question(make_csr(password=spent), transaction="again"))

    with pytest.raises(TooManyRequests):
        house.ask("guess")


def test_a_certificate_makes_up_for_mistyped_passwords(house):
    """Somebody who knows the password in the end was no guesser."""
    for _ in range(3):
        for _ in range(19):
            with pytest.raises(NotAuthenticated):
                house.ask("guess")
        house.enroll(house.question(make_csr(password=house.challenge())))


def test_another_process_knows_of_the_guesses(house):
    """Who asks two nodes in turn has no more guesses."""
    for _ in range(20):
        with pytest.raises(NotAuthenticated):
            house.ask("guess")
    other = House()
    other.server.lockouts = house.server.lockouts
    other.desk._lockouts = house.server.lockouts  # noqa: SLF001 - the other node's same database

    with pytest.raises(TooManyRequests):
        other.ask(other.challenge())


def test_requests_are_taken_from_listed_networks_only():
    """IPv4 inside IPv6 counts as what it is."""
    house = House(templates={"device": {"networks": ["192.0.2.0/24", "2001:db8::/32"]}})

    for address in ("192.0.2.7", "::ffff:192.0.2.7", "2001:db8::1"):
        house.ask(house.challenge(), address=address)

    for address in ("198.51.100.1", "::ffff:198.51.100.1", "2001:db9::1", None, "nowhere"):
        with pytest.raises(NotAllowed):
            house.ask(house.challenge(), address=address)


@given(address=st.one_of(st.none(), st.text(max_size=40), st.ip_addresses().map(str)))
def test_any_address_is_on_the_list_or_refused(address):
    """Nothing else is ever raised, and everybody counts as somebody."""
    assert guesser(address)
    with suppress(NotAllowed):
        AddressList(["10.0.0.0/8", "::1/128"]).check(address)


@settings(deadline=None, max_examples=25)
@given(password=st.text(min_size=1, max_size=300))
def test_no_password_does_anything_but_fail(password):
    """Whatever stands in the attribute: the answer is no."""
    house = House()
    question = house.question(make_csr())
    csr = type(question.csr)(
        **{
            name: password if name == "challenge_password" else getattr(question.csr, name)
            for name in question.csr.__dataclass_fields__
        }
    )

    with pytest.raises(NotAuthenticated):
        house.desk.check(type(question)(question.template, csr, "t-1", "192.0.2.7"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"templates": {"device": {"methods": ["intune"]}}},
        {"templates": {"device": {"methods": ["static"], "webhook": "x"}}},
        {"templates": {"device": {"methods": ["intune"], "intune": "nowhere"}}},
        {"templates": {"device": {"networks": ["10.0.0.1/8"]}}},
        {"templates": {"device": {"method": ["static"]}}},
    ],
)
def test_settings_that_cannot_be_meant_stop_the_start(wrong):
    """A method without its service, a service without its method, a network that is none."""
    with pytest.raises(ValidationError):
        ChallengeSettings.model_validate(wrong)


def test_a_name_beside_the_bound_one_is_left_to_the_core(house):
    """The requester carries the bound name; the core holds all names against it."""
    secret = house.challenge(common_name="plc-21")
    csr = make_csr("plc-21", secret, names=[x509.DNSName("boss.example")])

    assert "plc-21" == house.desk.check(house.question(csr)).requester.common_name
