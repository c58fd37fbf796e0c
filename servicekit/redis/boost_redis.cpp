// The one unit that compiles the bodies of Boost.Redis and of Asio's TLS.
#include <boost/asio/ssl/impl/src.hpp>
#include <boost/redis/src.hpp>
