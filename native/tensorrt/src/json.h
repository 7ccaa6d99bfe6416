// As much JSON as the answers and the note of an engine need.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace faced {

std::string json_string(const std::string& text);

// An object, member by member.
class JsonObject {
 public:
  JsonObject& text(const char* name, const std::string& value) { return raw(name, json_string(value)); }
  JsonObject& number(const char* name, std::uint64_t value) { return raw(name, std::to_string(value)); }
  JsonObject& raw(const char* name, const std::string& value);
  std::string done() const { return "{" + members_ + "}"; }

 private:
  std::string members_;
};

std::string json_array(const std::vector<std::string>& values);
std::string json_array(const std::vector<int>& values);

// The value of a member of the outermost object when it is a string without escapes; empty when there is none.
std::string json_member(const std::string& json, const std::string& name);

}  // namespace faced
