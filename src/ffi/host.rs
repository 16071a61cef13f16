//! What only the C library can tell of this process and its machine. A leaf: it uses nothing of the crate, and any module
//! may ask it.

use std::ffi::{CStr, c_int, c_void};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::ptr;

/// Whether the process has more rights than its caller (setuid, setgid, file capabilities): then what the caller put into
/// the environment is not to be trusted.
pub(crate) fn is_secure() -> bool {
    #[cfg(target_os = "linux")]
    // SAFETY: takes a number, and gives one.
    return unsafe { libc::getauxval(libc::AT_SECURE) != 0 };
    #[cfg(not(target_os = "linux"))]
    // SAFETY: gives a number.
    return unsafe { libc::issetugid() != 0 };
}

/// How much of a thread's stack the C library keeps for itself. With glibc the program's thread-local data are a part of
/// it, and there may be more of them than a small stack has.
pub(crate) fn stack_overhead() -> usize {
    // SAFETY: an attribute that is initialized, used and destroyed; the function, which only glibc has, takes a pointer
    // to one and gives a number.
    unsafe {
        let name = c"__pthread_get_minstack";
        let function = libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr());
        let mut attributes = std::mem::MaybeUninit::<libc::pthread_attr_t>::uninit();
        if function.is_null() || libc::pthread_attr_init(attributes.as_mut_ptr()) != 0 {
            return libc::PTHREAD_STACK_MIN;
        }
        let minimum: unsafe extern "C" fn(*const libc::pthread_attr_t) -> usize =
            std::mem::transmute::<*mut c_void, _>(function);
        let overhead = minimum(attributes.as_ptr());
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
        overhead
    }
}

/// The addresses of a host, or the `EAI_` number of why there are none. The standard library has only a text for that, and
/// panics where the program's locale makes it one that is not UTF-8.
pub(crate) fn addresses(host: &CStr, port: u16) -> Result<Vec<SocketAddr>, c_int> {
    // SAFETY: the list is read as far as getaddrinfo made it, each address as its family says, and freed once.
    unsafe {
        let mut hints: libc::addrinfo = std::mem::zeroed();
        hints.ai_socktype = libc::SOCK_STREAM;
        let mut list = ptr::null_mut();
        match libc::getaddrinfo(host.as_ptr(), ptr::null(), &hints, &mut list) {
            0 => {}
            number => return Err(number),
        }
        let mut found = Vec::new();
        let mut next: *const libc::addrinfo = list;
        while let Some(entry) = next.as_ref() {
            found.extend(address(entry, port));
            next = entry.ai_next;
        }
        libc::freeaddrinfo(list);
        Ok(found)
    }
}

/// # Safety
/// The entry is one that getaddrinfo made.
unsafe fn address(entry: &libc::addrinfo, port: u16) -> Option<SocketAddr> {
    let length = usize::try_from(entry.ai_addrlen).ok()?;
    match entry.ai_family {
        libc::AF_INET if length >= size_of::<libc::sockaddr_in>() => {
            // SAFETY: the family says which structure it is, and the length that all of it is there.
            let v4 = unsafe { ptr::read_unaligned(entry.ai_addr.cast::<libc::sockaddr_in>()) };
            Some(SocketAddrV4::new(Ipv4Addr::from_bits(u32::from_be(v4.sin_addr.s_addr)), port).into())
        }
        libc::AF_INET6 if length >= size_of::<libc::sockaddr_in6>() => {
            // SAFETY: as above.
            let v6 = unsafe { ptr::read_unaligned(entry.ai_addr.cast::<libc::sockaddr_in6>()) };
            Some(SocketAddrV6::new(Ipv6Addr::from(v6.sin6_addr.s6_addr), port, 0, v6.sin6_scope_id).into())
        }
        _ => None,
    }
}
