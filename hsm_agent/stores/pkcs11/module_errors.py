"""What an error of a PKCS#11 module means for the store."""

from pkcs11 import exceptions

from hsm_agent.stores.pkcs11.refused import (
    AGAIN,
    FAULT,
    LOGIN,
    PIN_LOCKED,
    PIN_WRONG,
    UNSUPPORTED,
    Refused,
)

_CODES: dict[str, tuple[type[exceptions.PKCS11Error], ...]] = {
    LOGIN: (exceptions.UserNotLoggedIn,),
    AGAIN: (
        exceptions.SessionHandleInvalid,
        exceptions.SessionClosed,
        exceptions.ObjectHandleInvalid,
        exceptions.KeyHandleInvalid,
        exceptions.DeviceRemoved,
        exceptions.TokenNotPresent,
        exceptions.TokenNotRecognised,
        exceptions.DeviceError,
        exceptions.GeneralError,
        # What an earlier failure left behind in the session.
        exceptions.OperationActive,
        exceptions.OperationNotInitialized,
        exceptions.UserAlreadyLoggedIn,
    ),
    PIN_WRONG: (
        exceptions.PinIncorrect,
        exceptions.PinInvalid,
        exceptions.PinLenRange,
        exceptions.PinExpired,
        exceptions.UserPinNotInitialized,
    ),
    PIN_LOCKED: (exceptions.PinLocked,),
    UNSUPPORTED: (
        exceptions.MechanismInvalid,
        exceptions.MechanismParamInvalid,
        exceptions.KeyTypeInconsistent,
        exceptions.KeySizeRange,
        exceptions.FunctionNotSupported,
        exceptions.DomainParamsInvalid,
        exceptions.TemplateInconsistent,
        exceptions.TemplateIncomplete,
        exceptions.AttributeTypeInvalid,
        exceptions.AttributeValueInvalid,
        exceptions.AttributeReadOnly,
        exceptions.SessionReadOnly,
        exceptions.TokenWriteProtected,
    ),
}


def refusal(error: exceptions.PKCS11Error) -> Refused:
    """Return what an error of the module means for the store.

    The text is the name of the error alone: a module's own words may hold anything.
    """
    name = type(error).__name__
    for code, kinds in _CODES.items():
        if isinstance(error, kinds):
            return Refused(code, f"the token says {name}")
    return Refused(FAULT, f"the token says {name}")
