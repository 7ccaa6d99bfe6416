#include "json.h"

#include <cstdio>

namespace faced {

std::string json_string(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    const unsigned char byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte >= 0x7f) {
      // What a library says of itself is ASCII; anything else is shown, not trusted to be UTF-8.
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\u%04x", byte);
      out += escaped;
    } else {
      out += c;
    }
  }
  return out + "\"";
}

JsonObject& JsonObject::raw(const char* name, const std::string& value) {
  if (!members_.empty()) members_ += ",";
  members_ += json_string(name) + ":" + value;
  return *this;
}

std::string json_array(const std::vector<std::string>& values) {
  std::string out;
  for (const std::string& value : values) out += (out.empty() ? "" : ",") + value;
  return "[" + out + "]";
}

std::string json_array(const std::vector<int>& values) {
  std::vector<std::string> texts;
  for (int value : values) texts.push_back(std::to_string(value));
  return json_array(texts);
}

std::string json_member(const std::string& json, const std::string& name) {
  int depth = 0;
  std::string key;
  bool value_next = false;
  for (std::size_t at = 0; at < json.size(); at++) {
    const char c = json[at];
    if (c == '{' || c == '[') depth++;
    if (c == '}' || c == ']') depth--;
    if (c == ':' && depth == 1) value_next = true;
    if (c == ',' && depth == 1) value_next = false;
    if (c != '"') continue;
    const std::size_t from = at + 1;
    bool plain = true;
    for (at = from; at < json.size() && json[at] != '"'; at++)
      if (json[at] == '\\') {
        plain = false;
        at++;
      }
    if (at >= json.size()) return "";
    if (depth != 1) continue;
    const std::string text = plain ? json.substr(from, at - from) : "";
    if (!value_next)
      key = text;
    else if (key == name)
      return text;
  }
  return "";
}

}  // namespace faced
