"""A PKCS#11 module that does what another does, until it is told to misbehave."""

import hashlib
import shutil
import subprocess

import pytest

from pikaserver.testing.patience import until

MODULE_SOURCE = """
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* CK_FUNCTION_LIST of PKCS#11 2.40: a version and 68 functions in a fixed order. */
enum { C_Login = 18, C_Sign = 43, FUNCTIONS = 68 };
struct list { unsigned char version[2]; void *function[FUNCTIONS]; };
static struct list changed, *real;

static int asked_to(const char *deed) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", getenv("MISDEEDS"), deed);
    return access(path, F_OK) == 0;
}
static void misbehave(const char *function) {
    char deed[64];
    snprintf(deed, sizeof deed, "%s-crashes", function);
    if (asked_to(deed)) raise(SIGSEGV);
    snprintf(deed, sizeof deed, "%s-hangs", function);
    if (asked_to(deed)) {
        char path[4096];
        snprintf(path, sizeof path, "%s/hanging", getenv("MISDEEDS"));
        fclose(fopen(path, "w"));
    }
    while (asked_to(deed)) pause();
}
/* Crashes with one certain input, whatever else it is told. */
static void look_at(unsigned char *octets, unsigned long count) {
    unsigned char poison[64];
    char path[4096];
    snprintf(path, sizeof path, "%s/poison", getenv("MISDEEDS"));
    FILE *file = fopen(path, "r");
    if (!file) return;
    unsigned long size = fread(poison, 1, sizeof poison, file);
    fclose(file);
    if (size == count && !memcmp(poison, octets, size)) raise(SIGSEGV);
}
static unsigned long login(unsigned long s, unsigned long u, unsigned char *p, unsigned long n) {
    misbehave("login");
    return ((unsigned long (*)())real->function[C_Login])(s, u, p, n);
}
static unsigned long sign(unsigned long s, unsigned char *d, unsigned long n, unsigned char *o,
                          unsigned long *m) {
    misbehave("sign");
    look_at(d, n);
    return ((unsigned long (*)())real->function[C_Sign])(s, d, n, o, m);
}
unsigned long C_GetFunctionList(struct list **list) {
    void *library = dlopen(getenv("REAL_MODULE"), RTLD_NOW);
    unsigned long (*get)(struct list **) = dlsym(library, "C_GetFunctionList");
    unsigned long result = get(&real);
    memcpy(&changed, real, sizeof changed);
    changed.function[C_Login] = login;
    changed.function[C_Sign] = sign;
    *list = &changed;
    return result;
}
"""


def compiled(folder):
    """Return a module that does what SoftHSM does, until it is told to misbehave."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler; a stopped worker shows the same")
    (folder / "bad.c").write_text(MODULE_SOURCE)
    library = folder / "bad.so"
    options = ["-std=gnu11", "-shared", "-fPIC", "-w", "-o", library, folder / "bad.c", "-ldl"]
    subprocess.run([compiler, *options], check=True)
    return library


def settings(softhsm, module, misdeeds):
    """Return those that make a store use such a module."""
    environment = {"REAL_MODULE": softhsm.module, "MISDEEDS": str(misdeeds.folder)}
    return {"module": str(module), "environment": {**softhsm.environment, **environment}}


class Misdeeds:
    """What the module shall do wrong from now on."""

    def __init__(self, folder):
        folder.mkdir()
        self.folder = folder

    def begin(self, deed):
        (self.folder / deed).touch()

    def end(self, deed):
        (self.folder / deed).unlink()

    def crash_with(self, data):
        """Have the module crash whenever it is to sign these octets with ECDSA and SHA-256."""
        (self.folder / "poison").write_bytes(hashlib.sha256(data).digest())

    def await_hanging(self):
        """Wait until the module is within a call from which it does not return."""
        until((self.folder / "hanging").exists, "the call that hangs")
