// JSON text that grows: strings escaped and in UTF-8, numbers in their shortest form.
//
// Knows nothing of Python's objects. Short texts stay in the object's own memory, so that a
// record of a few attributes costs no allocation.

#pragma once

#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <system_error>

namespace rigel {

class JsonText {
public:
    JsonText() : start_(inline_), end_(inline_), limit_(inline_ + sizeof inline_) {}
    ~JsonText() {
        if (start_ != inline_) std::free(start_);
    }
    JsonText(const JsonText &) = delete;
    JsonText &operator=(const JsonText &) = delete;

    const char *data() const { return start_; }
    std::size_t size() const { return static_cast<std::size_t>(end_ - start_); }

    // As it is: what the caller knows to be JSON.
    void raw(const char *text, std::size_t length) {
        reserve(length);
        std::memcpy(end_, text, length);
        end_ += length;
    }

    void character(char c) {
        reserve(1);
        *end_++ = c;
    }

    // Takes a comma back that no member followed.
    void end_members() {
        if (end_ != start_ && end_[-1] == ',') --end_;
    }

    void integer(std::int64_t value) { number(value); }

    void unsigned_integer(std::uint64_t value) { number(value); }

    // In the shortest form, with an exponent where orjson has one. A whole number keeps its
    // fraction, so that it is read as a double again. What is no number is null.
    void real(double value) {
        if (!std::isfinite(value)) return raw("null", 4);
        // A record repeats the times of its creation and of its change.
        for (const Spelled &known : spelled_) {
            if (known.length != 0 && std::memcmp(&value, &known.value, sizeof value) == 0) {
                return raw(known.text, known.length);
            }
        }
        reserve(max_number);
        char *begin = end_;
        end_ = spell(begin, value);
        Spelled &oldest = spelled_[next_];
        next_ = (next_ + 1) % kept;
        oldest.value = value;
        oldest.length = static_cast<std::size_t>(end_ - begin);
        std::memcpy(oldest.text, begin, oldest.length);
    }

    // A string of code points, `Unit` being 1, 2 or 4 bytes for each. False for a surrogate,
    // which UTF-8 cannot say; the text is of no use then.
    template <typename Unit>
    bool string(const Unit *text, std::size_t length) {
        // A code point takes 6 bytes at most: a control character as \u00XX.
        reserve(6 * length + 2);
        *end_++ = '"';
        for (std::size_t i = 0; i < length; ++i) {
            const std::uint32_t c = text[i];
            if (c < 0x80) {
                if (c >= 0x20 && c != '"' && c != '\\') {
                    *end_++ = static_cast<char>(c);
                } else {
                    escape(static_cast<unsigned char>(c));
                }
            } else if (c < 0x800) {
                *end_++ = static_cast<char>(0xC0 | c >> 6);
                *end_++ = static_cast<char>(0x80 | (c & 0x3F));
            } else if (c < 0x10000) {
                if (c >= 0xD800 && c < 0xE000) return false;
                *end_++ = static_cast<char>(0xE0 | c >> 12);
                *end_++ = static_cast<char>(0x80 | (c >> 6 & 0x3F));
                *end_++ = static_cast<char>(0x80 | (c & 0x3F));
            } else {
                *end_++ = static_cast<char>(0xF0 | c >> 18);
                *end_++ = static_cast<char>(0x80 | (c >> 12 & 0x3F));
                *end_++ = static_cast<char>(0x80 | (c >> 6 & 0x3F));
                *end_++ = static_cast<char>(0x80 | (c & 0x3F));
            }
        }
        *end_++ = '"';
        return true;
    }

private:
    // The longest shortest form of a double has 24 characters, of 64 bits 20.
    static constexpr std::size_t max_number = 32;
    static constexpr int max_exponent = 4;
    static constexpr std::size_t kept = 3;

    struct Spelled {
        double value;
        std::size_t length = 0;
        char text[max_number];
    };

    // Digits before which the point may stand, and zeros that may follow it before the first one.
    static constexpr int fixed_max = 16;
    static constexpr int zeros_max = 5;

    static char *spell(char *at, double value) {
        char digits[max_number];
        const char *const end =
            std::to_chars(digits, digits + sizeof digits, value, std::chars_format::scientific).ptr;
        const char *from = digits;
        if (*from == '-') *at++ = *from++;
        if (value == 0) return copied(at, "0.0", 3);
        const char *const e = static_cast<const char *>(std::memchr(from, 'e', end - from));
        int exponent = 0;
        for (const char *digit = e + 2; digit != end; ++digit) {
            exponent = 10 * exponent + (*digit - '0');
        }
        if (e[1] == '-') exponent = -exponent;
        char all[max_number];  // the digits without the point
        int count = 0;
        for (const char *digit = from; digit != e; ++digit) {
            if (*digit != '.') all[count++] = *digit;
        }
        const int before = exponent + 1;  // digits before the point, if there were enough
        if (before > 0 && before <= fixed_max) {
            at = copied(at, all, before < count ? before : count);
            for (int i = count; i < before; ++i) *at++ = '0';
            *at++ = '.';
            if (before < count) return copied(at, all + before, count - before);
            *at++ = '0';
            return at;
        }
        if (before <= 0 && before > -zeros_max) {
            at = copied(at, "0.", 2);
            for (int i = before; i < 0; ++i) *at++ = '0';
            return copied(at, all, count);
        }
        *at++ = all[0];
        if (count > 1) {
            *at++ = '.';
            at = copied(at, all + 1, count - 1);
        }
        *at++ = 'e';
        if (exponent > 0) *at++ = '+';
        return std::to_chars(at, at + max_exponent, exponent).ptr;
    }

    static char *copied(char *at, const char *text, int length) {
        std::memcpy(at, text, static_cast<std::size_t>(length));
        return at + length;
    }

    template <typename Integer>
    void number(Integer value) {
        reserve(max_number);
        end_ = std::to_chars(end_, end_ + max_number, value).ptr;
    }

    void escape(unsigned char c) {
        static constexpr char digits[] = "0123456789abcdef";
        *end_++ = '\\';
        switch (c) {
            case '"': *end_++ = '"'; break;
            case '\\': *end_++ = '\\'; break;
            case '\b': *end_++ = 'b'; break;
            case '\t': *end_++ = 't'; break;
            case '\n': *end_++ = 'n'; break;
            case '\f': *end_++ = 'f'; break;
            case '\r': *end_++ = 'r'; break;
            default:
                *end_++ = 'u';
                *end_++ = '0';
                *end_++ = '0';
                *end_++ = digits[c >> 4];
                *end_++ = digits[c & 15];
        }
    }

    void reserve(std::size_t more) {
        if (static_cast<std::size_t>(limit_ - end_) < more) grow(more);
    }

    void grow(std::size_t more) {
        const std::size_t used = size();
        std::size_t capacity = 2 * static_cast<std::size_t>(limit_ - start_);
        while (capacity < used + more) capacity *= 2;
        char *larger = static_cast<char *>(
            start_ == inline_ ? std::malloc(capacity) : std::realloc(start_, capacity));
        if (larger == nullptr) throw std::bad_alloc();
        if (start_ == inline_) std::memcpy(larger, inline_, used);
        start_ = larger;
        end_ = larger + used;
        limit_ = larger + capacity;
    }

    char *start_;
    char *end_;
    char *limit_;
    Spelled spelled_[kept];
    std::size_t next_ = 0;
    char inline_[4096];
};

}  // namespace rigel
