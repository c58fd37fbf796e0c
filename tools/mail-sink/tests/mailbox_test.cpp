#include "tools/mail-sink/mailbox.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

namespace stoa::mail {
namespace {

Mail mail(std::string to, std::string subject) {
  return {.from = "shop@stoa.test",
          .to = {std::move(to)},
          .raw = "Subject: " + subject + "\r\nMessage-ID: <1@x>\r\n\r\nbody\r\n"};
}

class JournalTest : public testing::Test {
 protected:
  void SetUp() override {
    path_ = std::filesystem::temp_directory_path() / ("mailbox-" + std::to_string(::getpid()));
    std::filesystem::remove(path_);
  }
  void TearDown() override { std::filesystem::remove(path_); }

  std::filesystem::path path_;
};

TEST(Mailbox, FindsByAddressAndPartOfTheSubjectNewestFirst) {
  Mailbox box{{}, {}};
  box.add(mail("a@x.test", "Order S-1 paid"));
  box.add(mail("a@x.test", "Order S-2 paid"));
  box.add(mail("b@x.test", "Welcome"));

  EXPECT_EQ(box.find({.to = "A@X.test"}, 10).size(), 2U);
  EXPECT_EQ(box.find({.subject = "PAID"}, 1).front()->subject, "Order S-2 paid");
  EXPECT_EQ(box.find({.to = "c@x.test"}, 10).size(), 0U);
  EXPECT_EQ(box.find(3)->subject, "Welcome");
  EXPECT_EQ(box.find(4), nullptr);
}

TEST(Mailbox, LetsTheOldestGoWhenFull) {
  Mailbox box{{.messages_max = 2}, {}};
  for (const char* subject : {"1", "2", "3"}) box.add(mail("a@x.test", subject));
  EXPECT_EQ(box.size(), 2U);
  EXPECT_EQ(box.find(1), nullptr);
  EXPECT_EQ(box.find(3)->subject, "3");
}

TEST_F(JournalTest, IsThereAfterARestart) {
  {
    Mailbox box{{}, path_};
    box.add(mail("a@x.test", "kept"));
  }
  const Mailbox again{{}, path_};
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again.find(1)->subject, "kept");
}

TEST_F(JournalTest, CutsOffATornEndAndGoesOn) {
  {
    Mailbox box{{}, path_};
    box.add(mail("a@x.test", "kept"));
    box.add(mail("a@x.test", "torn"));
  }
  std::filesystem::resize_file(path_, std::filesystem::file_size(path_) - 5);
  {
    Mailbox box{{}, path_};
    EXPECT_EQ(box.size(), 1U);
    box.add(mail("a@x.test", "after"));
  }
  const Mailbox again{{}, path_};
  EXPECT_EQ(again.size(), 2U);
  EXPECT_EQ(again.find(2)->subject, "after");
}

TEST_F(JournalTest, ClearForgetsThereToo) {
  {
    Mailbox box{{}, path_};
    box.add(mail("a@x.test", "gone"));
    box.clear();
    box.add(mail("a@x.test", "new"));
  }
  const Mailbox again{{}, path_};
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again.find(1)->subject, "new");
}

}  // namespace
}  // namespace stoa::mail
