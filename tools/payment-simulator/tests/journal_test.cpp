#include "tools/payment-simulator/journal.hpp"

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include "servicekit/async/loops.hpp"
#include "servicekit/testing/run.hpp"

namespace stoa::simulator {
namespace {

class JournalTest : public testing::Test {
 protected:
  JournalTest() {
    std::string name = (std::filesystem::temp_directory_path() / "journal-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    path_ = folder_ / "journal";
  }
  ~JournalTest() override { std::filesystem::remove_all(folder_); }
  JournalTest(const JournalTest&) = delete;
  JournalTest& operator=(const JournalTest&) = delete;

  void write(const std::vector<std::string>& texts) {
    const std::uint64_t before = read().size();
    Loops loops{1};
    Journal journal{loops.at(0), path_, before};
    std::uint64_t last = 0;
    for (const std::string& text : texts) last = journal.append(text);
    testing_support::run_on(loops, journal.durable(last));
  }

  std::vector<std::string> read() const {
    std::vector<std::string> texts;
    replay(path_, [&](std::string_view text) { texts.emplace_back(text); });
    return texts;
  }

  std::filesystem::path path_;

 private:
  std::filesystem::path folder_;
};

TEST_F(JournalTest, GivesBackWhatWasWrittenInOrder) {
  write({"one", "two"});
  write({"three"});
  EXPECT_EQ(read(), (std::vector<std::string>{"one", "two", "three"}));
}

TEST_F(JournalTest, IsEmptyBeforeTheFirstStart) { EXPECT_TRUE(read().empty()); }

TEST_F(JournalTest, CutsATornLastLineOffAndGoesOn) {
  write({"one", "two"});
  std::filesystem::resize_file(path_, std::filesystem::file_size(path_) - 2);
  EXPECT_EQ(read(), (std::vector<std::string>{"one"}));
  write({"three"});
  EXPECT_EQ(read(), (std::vector<std::string>{"one", "three"}));
}

TEST_F(JournalTest, CutsOffALastLineThatLostItsEndOnly) {
  write({"one", "two"});
  std::filesystem::resize_file(path_, std::filesystem::file_size(path_) - 1);
  EXPECT_EQ(read(), (std::vector<std::string>{"one"}));
}

TEST_F(JournalTest, RefusesToGuessWhenAnEarlierLineIsDamaged) {
  write({"one", "two"});
  {
    std::fstream file{path_, std::ios::in | std::ios::out | std::ios::binary};
    file.seekp(10);
    file.put('X');
  }
  EXPECT_THROW(read(), std::runtime_error);
}

}  // namespace
}  // namespace stoa::simulator
