#include "services/order-service/domain/address.hpp"

#include <algorithm>
#include <array>
#include <format>

namespace stoa::order {
namespace {

constexpr std::size_t text_bytes_max = 200;
constexpr std::size_t postal_code_bytes_max = 20;

// ISO 3166-1, officially assigned alpha-2 codes, in order, two characters each.
constexpr std::string_view countries =
    "ADAEAFAGAIALAMAOAQARASATAUAWAXAZBABBBDBEBFBGBHBIBJBLBMBNBOBQBRBSBTBVBWBYBZ"
    "CACCCDCFCGCHCICKCLCMCNCOCRCUCVCWCXCYCZDEDJDKDMDODZECEEEGEHERESETFIFJFKFMFOFR"
    "GAGBGDGEGFGGGHGIGLGMGNGPGQGRGSGTGUGWGYHKHMHNHRHTHUIDIEILIMINIOIQIRISITJEJMJOJP"
    "KEKGKHKIKMKNKPKRKWKYKZLALBLCLILKLRLSLTLULVLYMAMCMDMEMFMGMHMKMLMMMNMOMPMQMRMSMT"
    "MUMVMWMXMYMZNANCNENFNGNINLNONPNRNUNZOMPAPEPFPGPHPKPLPMPNPRPSPTPWPYQARERORSRURW"
    "SASBSCSDSESGSHSISJSKSLSMSNSOSRSSSTSVSXSYSZTCTDTFTGTHTJTKTLTMTNTOTRTTTVTWTZ"
    "UAUGUMUSUYUZVAVCVEVGVIVNVUWFWSYEYTZAZMZW";
static_assert(countries.size() == 2 * 249, "ISO 3166-1 assigns 249 codes");

bool blank(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c == ' ' || c == '\t'; });
}

// C0 and DEL: a line of an address is one line, on a label and in a mail.
bool has_control_character(std::string_view text) {
  return std::ranges::any_of(
      text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == '\x7f'; });
}

void check_text(std::string_view pointer, std::string_view text, std::size_t bytes_max,
                std::vector<FieldError>& errors) {
  if (blank(text)) {
    errors.push_back({std::string{pointer}, "required", "must not be blank"});
  } else if (text.size() > bytes_max) {
    errors.push_back(
        {std::string{pointer}, "too_long", std::format("at most {} bytes", bytes_max)});
  } else if (has_control_character(text)) {
    errors.push_back({std::string{pointer}, "invalid_character", "must be one line of text"});
  }
}

}  // namespace

bool is_country(std::string_view code) {
  if (code.size() != 2) return false;
  for (std::size_t i = 0; i < countries.size(); i += 2) {
    if (countries.substr(i, 2) == code) return true;
  }
  return false;
}

std::vector<FieldError> check_address(const Address& address) {
  std::vector<FieldError> errors;
  check_text("/name", address.name, text_bytes_max, errors);
  check_text("/line1", address.line1, text_bytes_max, errors);
  if (address.line2) check_text("/line2", *address.line2, text_bytes_max, errors);
  check_text("/city", address.city, text_bytes_max, errors);
  if (address.region) check_text("/region", *address.region, text_bytes_max, errors);
  check_text("/postal_code", address.postal_code, postal_code_bytes_max, errors);
  if (!is_country(address.country)) {
    errors.push_back({"/country", "unknown_country", "a two-letter code of ISO 3166-1"});
  }
  return errors;
}

}  // namespace stoa::order
