// What bytes of HTTP may be part of (RFC 9110, section 5). Knows nothing of Python.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

enum http_kind { HTTP_TOKEN = 1, HTTP_DIGIT = 2 };

static inline unsigned char http_kind_of(unsigned char byte) {
    switch (byte) {
        case '0': case '1': case '2': case '3': case '4':
        case '5': case '6': case '7': case '8': case '9':
            return HTTP_TOKEN | HTTP_DIGIT;
        case '!': case '#': case '$': case '%': case '&': case '\'': case '*': case '+':
        case '-': case '.': case '^': case '_': case '`': case '|': case '~':
            return HTTP_TOKEN;
        default:
            return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ? HTTP_TOKEN : 0;
    }
}

static inline bool http_consists_of(const char *text, size_t size, unsigned char kind) {
    unsigned char common = kind;
    for (size_t i = 0; i < size; ++i) common &= http_kind_of((unsigned char)text[i]);
    return common == kind;
}

// RFC 9110, section 5.5: no CR, LF, NUL. Other control characters do no harm.
static inline bool http_is_value(const char *text, size_t size) {
    for (size_t i = 0; i < size; ++i) {
        const char byte = text[i];
        if (byte == '\r' || byte == '\n' || byte == '\0') return false;
    }
    return true;
}

// Whether they are the same but for the case of ASCII letters; `word` is in lower case.
static inline bool http_is_word(const char *text, size_t size, const char *word, size_t length) {
    if (size != length) return false;
    for (size_t i = 0; i < size; ++i) {
        unsigned char byte = (unsigned char)text[i];
        if (byte >= 'A' && byte <= 'Z') byte += 32;
        if (byte != (unsigned char)word[i]) return false;
    }
    return true;
}
