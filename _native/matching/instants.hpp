// Canonical instants, `YYYY-MM-DDThh:mm:ss.sssZ`, as seconds since 1970.
#pragma once

#include "matching/memory.hpp"

namespace rigel::matching {

inline bool read_digits(const char* text, u32 count, u32& number) {
    number = 0;
    for (u32 i = 0; i < count; ++i) {
        const u32 digit = static_cast<u32>(static_cast<unsigned char>(text[i])) - '0';
        if (digit > 9) return false;
        number = number * 10 + digit;
    }
    return true;
}

// False for what is not written in exactly this way; that may be an instant nevertheless.
inline bool read_canonical_instant(const char* text, u32 length, double& seconds) {
    constexpr u32 DAYS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    u32 year, month, day, hour, minute, second, millis;
    if (length != 24 || text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' ||
        text[16] != ':' || text[19] != '.' || text[23] != 'Z' || !read_digits(text, 4, year) ||
        !read_digits(text + 5, 2, month) || !read_digits(text + 8, 2, day) ||
        !read_digits(text + 11, 2, hour) || !read_digits(text + 14, 2, minute) ||
        !read_digits(text + 17, 2, second) || !read_digits(text + 20, 3, millis)) {
        return false;
    }
    if (year < 1900 || month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 ||
        second > 59) {
        return false;
    }
    const bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (day > DAYS[month - 1] + (month == 2 && is_leap ? 1 : 0)) return false;
    // Days since 1970-01-01, with years that begin in March.
    const std::int64_t shifted = static_cast<std::int64_t>(year) - (month <= 2 ? 1 : 0);
    const std::int64_t month_from_march = (month + 9) % 12;
    const std::int64_t days = 365 * shifted + shifted / 4 - shifted / 100 + shifted / 400 +
                              (153 * month_from_march + 2) / 5 + day - 1 - 719468;
    const std::int64_t whole = ((days * 24 + hour) * 60 + minute) * 60 + second;
    seconds = static_cast<double>(whole * 1000 + millis) / 1000;
    return true;
}

}  // namespace rigel::matching
